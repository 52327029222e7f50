import { expect } from 'chai';
import { ConnectRate } from '../../../src/primary/listeners/connect-rate.ts';
import { addressGroup, clientAddress, parseNetworks } from '../../../src/shared/net/client-address.ts';

const TRUSTED = parseNetworks('10.0.0.0/8, 2001:db8:1::/48');

function head(...fields: string[]): string {
  return ['GET / HTTP/1.1', ...fields, ''].join('\r\n');
}

describe('clientAddress', () => {
  const CASES: readonly [what: string, remote: string, fields: string[], address: string][] = [
    [
      'ignores the headers of an untrusted peer',
      '203.0.113.9',
      ['X-Forwarded-For: 192.0.2.1'],
      '203.0.113.9',
    ],
    ['reads IPv4 addresses of IPv6 sockets', '::ffff:203.0.113.9', [], '203.0.113.9'],
    [
      'returns the rightmost untrusted hop',
      '10.0.0.1',
      ['X-Forwarded-For: 192.0.2.1, 198.51.100.7, 10.1.1.1'],
      '198.51.100.7',
    ],
    [
      'joins repeated fields',
      '10.0.0.1',
      ['X-Forwarded-For: 192.0.2.1', 'x-forwarded-for: 198.51.100.8:443'],
      '198.51.100.8',
    ],
    [
      'reads Forwarded',
      '10.0.0.1',
      ['Forwarded: for=192.0.2.1, for="[2001:db8:2::1]:443";proto=https'],
      '2001:db8:2::1',
    ],
    ['stops at a value that is no address', '10.0.0.1', ['X-Forwarded-For: 192.0.2.1, unknown'], '10.0.0.1'],
    ['returns the proxy if no header names an address', '2001:db8:1::5', [], '2001:db8:1::5'],
  ];
  for (const [what, remote, fields, address] of CASES) {
    it(what, () => {
      expect(clientAddress(remote, head(...fields), TRUSTED)).to.equal(address);
    });
  }

  it('counts a /64 of IPv6 as one client', () => {
    expect(addressGroup('2001:db8::1')).to.equal(addressGroup('2001:0db8:0:0:ffff::2'));
    expect(addressGroup('2001:db8:0:1::1')).not.to.equal(addressGroup('2001:db8::1'));
  });

  for (const list of ['10.0.0.0/33', 'proxy.example', '10.0.0.0/x']) {
    it(`rejects the list ${list}`, () => {
      expect(() => parseNetworks(list)).to.throw('must be comma-separated addresses or networks');
    });
  }
});

describe('ConnectRate', () => {
  it('limits the connects of each address per second, and remembers a bounded number of addresses', () => {
    const rate = new ConnectRate(2);
    expect([0, 1, 2].map((now) => rate.admits('a', now))).to.deep.equal([true, true, false]);
    expect(rate.admits('b', 3)).to.equal(true);
    expect(rate.admits('a', 1_000)).to.equal(true);
    for (let count = 0; count < 250_000; count += 1) rate.admits(`x${count}`, 1_001);
    expect(rate.size).to.be.at.most(100_000);
  });
});
