import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { parseApp } from '../../../src/shared/apps/app.ts';
import { GRANTS_MAX } from '../../../src/shared/model/grants.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PUBLIC_KEY = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const PRIVATE_KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

describe('an app', () => {
  it('needs no more than a webhook, and is enabled then', () => {
    expect(parseApp('shop', { url: 'https://example.com/auth' })).to.deep.equal({
      key: 'shop',
      url: 'https://example.com/auth',
      enabled: true,
    });
  });

  it('may grant channels to everybody, and be disabled', () => {
    expect(parseApp('shop', { channels: ['a', 'b*'], enabled: false })).to.deep.equal({
      key: 'shop',
      channels: ['a', 'b*'],
      enabled: false,
    });
  });

  it('may take tokens alone', () => {
    for (const fields of [
      { jwt_public_key: PUBLIC_KEY },
      { jwks_url: 'https://example.com/keys' },
      { jwt_hs256: true, secret: 'hush' },
    ]) {
      expect(parseApp('shop', fields)).to.deep.equal({ key: 'shop', enabled: true, ...fields });
    }
  });

  it('may have fields that this version does not know', () => {
    expect(parseApp('shop', { channels: [], colour: 'red' })).to.deep.equal({
      key: 'shop',
      channels: [],
      enabled: true,
    });
  });

  const wrong: [what: string, key: string, fields: unknown][] = [
    ['nothing that says who may come in', 'shop', {}],
    ['nothing but another program has', 'shop', { name: 'x', enabled: true }],
    ['a key of another alphabet', 'a b', { url: 'http://h/' }],
    ['a webhook that is no web address', 'shop', { url: 'file:///etc/passwd' }],
    ['a webhook without a host', 'shop', { url: 'http://' }],
    ['a webhook beyond any length', 'shop', { url: `http://h/${'x'.repeat(2_048)}` }],
    ['a webhook that is no text', 'shop', { url: 1 }],
    ['channels that are no list', 'shop', { channels: 'a' }],
    ['an empty grant', 'shop', { channels: [''] }],
    ['more grants than are looked through', 'shop', { channels: Array(GRANTS_MAX + 1).fill('a') }],
    ['a doubtful state', 'shop', { url: 'http://h/', enabled: 'maybe' }],
    ['a key that is none', 'shop', { jwt_public_key: 'x' }],
    ['a private key', 'shop', { jwt_public_key: PRIVATE_KEY }],
    ['HS256 without a secret', 'shop', { jwt_hs256: true }],
    ['a list of fields', 'shop', []],
    ['no fields', 'shop', null],
  ];
  for (const [what, key, fields] of wrong) {
    it(`is none with ${what}`, () => {
      expect(parseApp(key, fields)).to.equal(undefined);
    });
  }
});
