import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { parseApp } from '../../../src/shared/apps/app.ts';
import { GRANTS_MAX } from '../../../src/shared/model/grants.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PUBLIC_KEY = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const PRIVATE_KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

describe('parseApp', () => {
  it('accepts an app with only a webhook, and enables it', () => {
    expect(parseApp('shop', { url: 'https://example.com/auth' })).to.deep.equal({
      key: 'shop',
      url: 'https://example.com/auth',
      enabled: true,
    });
  });

  it('accepts grants for all clients, and a disabled app', () => {
    expect(parseApp('shop', { channels: ['a', 'b*'], enabled: false })).to.deep.equal({
      key: 'shop',
      channels: ['a', 'b*'],
      enabled: false,
    });
  });

  it('accepts an app with only a verification key for tokens', () => {
    for (const fields of [
      { jwt_public_key: PUBLIC_KEY },
      { jwks_url: 'https://example.com/keys' },
      { jwt_hs256: true, secret: 'hush' },
    ]) {
      expect(parseApp('shop', fields)).to.deep.equal({ key: 'shop', enabled: true, ...fields });
    }
  });

  it('ignores unknown fields', () => {
    expect(parseApp('shop', { channels: [], colour: 'red' })).to.deep.equal({
      key: 'shop',
      channels: [],
      enabled: true,
    });
  });

  const wrong: [what: string, key: string, fields: unknown][] = [
    ['no way to authenticate clients', 'shop', {}],
    ['only unknown fields', 'shop', { name: 'x', enabled: true }],
    ['a key outside the alphabet', 'a b', { url: 'http://h/' }],
    ['a webhook that is no HTTP URL', 'shop', { url: 'file:///etc/passwd' }],
    ['a webhook without a host', 'shop', { url: 'http://' }],
    ['a webhook URL that is too long', 'shop', { url: `http://h/${'x'.repeat(2_048)}` }],
    ['a webhook that is no string', 'shop', { url: 1 }],
    ['channels that are no list', 'shop', { channels: 'a' }],
    ['an empty grant', 'shop', { channels: [''] }],
    ['too many grants', 'shop', { channels: Array(GRANTS_MAX + 1).fill('a') }],
    ['an "enabled" that is no boolean', 'shop', { url: 'http://h/', enabled: 'maybe' }],
    ['an invalid public key', 'shop', { jwt_public_key: 'x' }],
    ['a private key', 'shop', { jwt_public_key: PRIVATE_KEY }],
    ['HS256 without a secret', 'shop', { jwt_hs256: true }],
    ['a list of fields', 'shop', []],
    ['no fields', 'shop', null],
  ];
  for (const [what, key, fields] of wrong) {
    it(`rejects ${what}`, () => {
      expect(parseApp(key, fields)).to.equal(undefined);
    });
  }
});
