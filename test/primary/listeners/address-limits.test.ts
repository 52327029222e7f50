import { expect } from 'chai';
import { AddressLimits } from '../../../src/primary/listeners/address-limits.ts';
import type { SettingName } from '../../../src/shared/config/settings.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const EVERY_INTERFACE = { host: '0.0.0.0', port: 0 };
const HEAD = 'GET / HTTP/1.1\r\nHost: a';

describe('AddressLimits', () => {
  it('reads no address on a loopback port without set limits', () => {
    const socket = new CountingSocket('127.0.0.1');
    const verdict = createLimits({ listen: LOOPBACK }).check(socket, HEAD);
    expect(verdict).to.deep.equal({ group: undefined, error: undefined });
    expect(socket.reads).to.equal(0);
  });

  it('counts an address on a loopback port for a limit that is set', () => {
    const limits = createLimits({ listen: LOOPBACK, names: ['addressConnectionsMax'] });
    const verdict = limits.check(new CountingSocket('127.0.0.1'), HEAD);
    expect(verdict).to.deep.equal({ group: '127.0.0.1', error: 'too_many_connections' });
  });

  it('counts a forwarded address on a loopback port behind a trusted proxy', () => {
    const limits = createLimits({ listen: LOOPBACK, trustedProxies: '127.0.0.1' });
    const head = `${HEAD}\r\nX-Forwarded-For: 192.0.2.1`;
    const verdict = limits.check(new CountingSocket('127.0.0.1'), head);
    expect(verdict).to.deep.equal({ group: '192.0.2.1', error: 'too_many_connections' });
  });

  it('counts a public address on a port of every interface', () => {
    const limits = createLimits({ listen: EVERY_INTERFACE });
    const verdict = limits.check(new CountingSocket('192.0.2.1'), HEAD);
    expect(verdict).to.deep.equal({ group: '192.0.2.1', error: 'too_many_connections' });
  });

  it('does not count a socket that has closed', () => {
    const verdict = createLimits({ listen: EVERY_INTERFACE }).check(new CountingSocket(undefined), HEAD);
    expect(verdict).to.deep.equal({ group: undefined, error: undefined });
  });
});

class CountingSocket {
  reads = 0;
  readonly #address: string | undefined;

  constructor(address: string | undefined) {
    this.#address = address;
  }

  get remoteAddress(): string | undefined {
    this.reads += 1;
    return this.#address;
  }
}

/** Every counted address has as many connections as it may have. */
function createLimits(options: {
  listen: { host: string; port: number };
  names?: SettingName[];
  trustedProxies?: string;
}): AddressLimits {
  const { listen, names = [], trustedProxies = '' } = options;
  return new AddressLimits({
    settings: { listen, addressConnectsPerSecond: 1_000, addressConnectionsMax: 1, trustedProxies },
    names: new Set(names),
    connections: { count: () => 1 },
  });
}
