import { expect } from 'chai';
import {
  formatAddress,
  isEveryInterface,
  isLoopback,
  parseAddress,
  reachableFromHere,
} from '../../../src/shared/net/address.ts';

describe('Address', () => {
  const forms: [text: string, host: string | undefined, port: number][] = [
    [':8000', undefined, 8000],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['localhost:65535', 'localhost', 65_535],
    ['push.example.com:80', 'push.example.com', 80],
    ['[::1]:8000', '::1', 8000],
    ['[::ffff:127.0.0.1]:1', '::ffff:127.0.0.1', 1],
  ];
  for (const [text, host, port] of forms) {
    it(`parses ${text} and formats it again`, () => {
      const address = parseAddress(text);
      expect(address).to.deep.equal({ host, port });
      expect(formatAddress(address)).to.equal(text);
    });
  }

  const wrong = [
    '',
    '8000',
    'host',
    'host:',
    ':65536',
    ':-1',
    '::1:8000',
    '[::1]',
    '[::::]:1',
    'a b:1',
    ':1x',
  ];
  for (const text of wrong) {
    it(`rejects "${text}"`, () => {
      expect(() => parseAddress(text)).to.throw('must be host:port');
    });
  }

  it('is loopback if only this machine can reach it', () => {
    const local = ['localhost:1', '127.0.0.1:1', '127.1.2.3:1', '[::1]:1'];
    const open = [':1', '0.0.0.0:1', '10.0.0.1:1', '[::]:1', '127.example.com:1', '127.0.0.1.example.com:1'];
    expect(local.filter((text) => !isLoopback(parseAddress(text)))).to.deep.equal([]);
    expect(open.filter((text) => isLoopback(parseAddress(text)))).to.deep.equal([]);
  });

  it('means every interface without a host or with a wildcard', () => {
    const answers = [':1', '0.0.0.0:1', '[::]:1', '127.0.0.1:1'].map((text) =>
      isEveryInterface(parseAddress(text)),
    );
    expect(answers).to.deep.equal([true, true, true, false]);
  });

  it('has a form that a URL of this machine can contain', () => {
    const reached = [':1', '0.0.0.0:1', '[::]:1', '[::1]:1', 'a:1'].map((text) =>
      reachableFromHere(parseAddress(text)),
    );
    expect(reached).to.deep.equal(['127.0.0.1:1', '127.0.0.1:1', '127.0.0.1:1', '[::1]:1', 'a:1']);
  });
});
