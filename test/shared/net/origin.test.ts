import { expect } from 'chai';
import { normalOrigin, OriginList } from '../../../src/shared/net/origin.ts';

describe('OriginList', () => {
  const CASES: readonly [entries: string[], admitted: string[], rejected: string[]][] = [
    [['null'], ['null'], ['capacitor://localhost', 'file://', 'chrome-extension://abcdef', 'https://null']],
    [['capacitor://localhost'], ['capacitor://localhost'], ['null', 'http://localhost', 'ionic://localhost']],
    [['localhost'], ['http://localhost', 'https://localhost:5173'], ['capacitor://localhost', 'null']],
    [['file://'], ['file://'], ['null', 'https://file']],
    [['moz-extension://1b2c-*'], ['moz-extension://1b2c-ff'], ['chrome-extension://1b2c-ff']],
    [
      ['https://shop.example:443'],
      ['https://shop.example'],
      ['http://shop.example', 'https://shop.example:8443'],
    ],
    [['shop.example:80'], ['http://shop.example'], ['https://shop.example', 'http://shop.example:8080']],
    [['http://shop.example:443'], ['http://shop.example:443'], ['http://shop.example']],
    [['https://BÜCHER.example'], ['https://xn--bcher-kva.example'], ['https://bucher.example']],
    [['*.bücher.example'], ['https://a.xn--bcher-kva.example:1'], ['https://xn--bcher-kva.example']],
    [['http://[0:0:0:0:0:0:0:1]:3000'], ['http://[::1]:3000'], ['http://[::1]', 'http://[::2]:3000']],
    [['2001:DB8::0:1'], ['https://[2001:db8::1]', 'http://[2001:db8::1]:8080'], ['https://[2001:db8::2]']],
    [['*'], ['null', 'https://a.example', 'app://obsidian.md'], []],
    [
      ['https://*.shop.example'],
      ['https://a.shop.example', 'https://a.b.shop.example'],
      [
        'https://shop.example',
        'https://shop.example.evil.example',
        'https://a.shop.example/x',
        'nonsense',
        '',
      ],
    ],
  ];

  for (const [entries, admitted, rejected] of CASES) {
    it(`compares ${entries.join(', ')} as browsers send origins`, () => {
      const list = new OriginList(entries);
      for (const origin of admitted) expect(list.allows(origin), origin).to.equal(true);
      for (const origin of rejected) expect(list.allows(origin), origin).to.equal(false);
    });
  }

  it('ignores entries that earlier versions accepted and no browser can match', () => {
    const list = new OriginList(['https://shop.example/', 'a:b:c']);
    for (const origin of ['https://shop.example', 'https://a', 'null'])
      expect(list.allows(origin)).to.equal(false);
  });
});

describe('normalOrigin', () => {
  it('returns an entry in the form that browsers send', () => {
    expect(normalOrigin('HTTPS://Shop.Example:443')).to.equal('https://shop.example');
    expect(normalOrigin('http://[0::0:1]:80')).to.equal('http://[::1]');
    expect(normalOrigin('http://127.1')).to.equal('http://127.0.0.1');
    expect(normalOrigin('Null')).to.equal('null');
    expect(normalOrigin('shop.example:443')).to.equal('shop.example:443');
  });

  for (const entry of [
    '',
    'https://',
    'https://shop.example/',
    'https://shop.example/path',
    'https://user@shop.example',
    'https://shop.example?x',
    'shop.example#x',
    '*://shop.example',
    'https://shop.example:0',
    'https://shop.example:65536',
    'https://shop.example:',
    'http://[::1',
    'http://[fe80::1%eth0]',
    '[::*]',
    'a b.example',
    'shop..*.example',
    'https://shop.exa<mple',
    'a:b:c',
  ]) {
    it(`rejects "${entry}", which can never match`, () => {
      expect(normalOrigin(entry)).to.equal(undefined);
    });
  }
});
