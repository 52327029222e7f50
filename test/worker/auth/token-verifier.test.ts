import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { exportJWK } from 'jose';
import type { App } from '../../../src/shared/apps/app.ts';
import { GusherError } from '../../../src/shared/errors/catalogue.ts';
import type { Failure, FailureEvent } from '../../../src/shared/logging/failure-log.ts';
import { TokenVerifier } from '../../../src/worker/auth/token-verifier.ts';
import { VerificationKeys } from '../../../src/worker/auth/verification-keys.ts';
import { eventually } from '../../support/deadline.ts';
import { keyPairFor, signToken } from '../../support/tokens.ts';

const RSA = keyPairFor('RS256');
const OTHER = keyPairFor('RS256');
const CLAIMS = { app_key: 'shop', user_id: 'ann', channels: ['a', 'b*'], remotes: { go: true, no: false } };

describe('TokenVerifier', () => {
  const shop: App = { key: 'shop', enabled: true, jwt_public_key: RSA.jwtPublicKey };

  let noted: Failure[] = [];
  const note = (_event: FailureEvent, failure: Failure): void => void noted.push(failure);

  function open(jwtPublicKey?: string): TokenVerifier {
    return new TokenVerifier({
      keys: new VerificationKeys({ jwtPublicKey }),
      clockSkewMs: 5_000,
      failures: { note },
    });
  }

  async function outcomeOf(app: App, token: string, tokens = open()): Promise<string> {
    return tokens.identify(app, token).then(
      ({ userId }) => `is ${userId}`,
      (error: unknown) => (error instanceof GusherError ? error.code : String(error)),
    );
  }

  for (const alg of [
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
  ]) {
    it(`verifies tokens signed with ${alg}`, async () => {
      const pair = /^[RP]S/.test(alg) ? RSA : keyPairFor(alg);
      const token = await signToken(pair.privateKey, CLAIMS, { alg });
      const app: App = { key: 'shop', enabled: true, jwt_public_key: pair.jwtPublicKey };
      expect(await outcomeOf(app, token)).to.equal('is ann');
    });
  }

  it('returns the user and the grants of a token', async () => {
    const token = await signToken(RSA.privateKey, CLAIMS, { expiresIn: 60 });
    const { expiresAt = 0, ...identity } = await open().identify(shop, token);
    expect(identity).to.deep.equal({ userId: 'ann', channels: ['a', 'b*'], remotes: ['go'] });
    expect(expiresAt).to.be.within(Date.now() + 50_000, Date.now() + 61_000);
  });

  it('accepts a token without user and grants', async () => {
    const token = await signToken(RSA.privateKey, { app_key: 'shop' });
    const identity = await open().identify(shop, token);
    expect(identity).to.deep.equal({ userId: '', channels: [], remotes: [], expiresAt: undefined });
  });

  it('rejects tokens that another key signed, or no key', async () => {
    expect(await outcomeOf(shop, await signToken(OTHER.privateKey, CLAIMS))).to.equal('token_rejected');
    const [, payload] = (await signToken(RSA.privateKey, CLAIMS)).split('.');
    for (const header of [{ alg: 'none' }, { alg: 'None' }, { alg: 'nOnE', typ: 'JWT' }, {}]) {
      const head = Buffer.from(JSON.stringify(header)).toString('base64url');
      expect(await outcomeOf(shop, `${head}.${payload}.`)).to.equal('token_rejected');
    }
    const other = Buffer.from(JSON.stringify({ gusher: { ...CLAIMS, user_id: 'eve' } })).toString(
      'base64url',
    );
    const [head, , signature] = (await signToken(RSA.privateKey, CLAIMS)).split('.');
    expect(await outcomeOf(shop, `${head}.${other}.${signature}`)).to.equal('token_rejected');
  });

  it('rejects tokens signed with the public key as a secret (key confusion)', async () => {
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      const token = await signToken(Buffer.from(RSA.jwtPublicKey), CLAIMS, { alg });
      expect(await outcomeOf(shop, token), alg).to.equal('token_rejected');
      expect(await outcomeOf({ ...shop, secret: 'hush', jwt_hs256: true }, token), alg).to.equal(
        'token_rejected',
      );
    }
  });

  it('uses the secret only if the app enables it, and only for HS256', async () => {
    const secret = 'a-secret-of-some-length-for-hmac';
    const app: App = { key: 'shop', enabled: true, secret };
    const token = await signToken(Buffer.from(secret), CLAIMS, { alg: 'HS256' });
    expect(await outcomeOf(app, token)).to.equal('token_rejected');
    expect(await outcomeOf({ ...app, jwt_hs256: false }, token)).to.equal('token_rejected');
    expect(await outcomeOf({ ...app, jwt_hs256: true }, token)).to.equal('is ann');
    const longer = await signToken(Buffer.from(secret), CLAIMS, { alg: 'HS512' });
    expect(await outcomeOf({ ...app, jwt_hs256: true }, longer)).to.equal('token_rejected');
  });

  it('rejects tokens before and after their validity, with a tolerance for clock skew', async () => {
    const at = (options: object): Promise<string> => signToken(RSA.privateKey, CLAIMS, options);
    expect(await outcomeOf(shop, await at({ expiresIn: -60 }))).to.equal('token_expired');
    expect(await outcomeOf(shop, await at({ expiresIn: -1 }))).to.equal('is ann');
    expect(await outcomeOf(shop, await at({ notBefore: 60 }))).to.equal('token_not_yet_valid');
    expect(await outcomeOf(shop, await at({ notBefore: 2 }))).to.equal('is ann');
    const never = await signToken(OTHER.privateKey, CLAIMS, { expiresIn: -60 });
    expect(await outcomeOf(shop, never), 'a forged token gets no more details').to.equal('token_rejected');
  });

  it('rejects tokens of another app, even if both apps trust the same key', async () => {
    const board: App = { ...shop, key: 'board' };
    expect(await outcomeOf(board, await signToken(RSA.privateKey, CLAIMS))).to.equal('token_of_other_app');
  });

  it('rejects malformed tokens and claims out of bounds', async () => {
    for (const text of ['', 'x', 'a.b.c', '..', `${'x'.repeat(10_000)}.y.z`]) {
      expect(await outcomeOf(shop, text), text).to.equal('token_rejected');
    }
    const wrong: object[] = [
      { user_id: 'ann' },
      { app_key: 7 },
      { app_key: 'shop', user_id: {} },
      { app_key: 'shop', user_id: 'u'.repeat(257) },
      { app_key: 'shop', channels: 'a' },
      { app_key: 'shop', channels: Array(1_001).fill('a') },
      { app_key: 'shop', remotes: ['go'] },
    ];
    for (const claims of wrong) {
      const token = await signToken(RSA.privateKey, claims);
      expect(await outcomeOf(shop, token), JSON.stringify(claims)).to.equal('token_rejected');
    }
  });

  it('uses the key of the installation for apps without a key', async () => {
    const plain: App = { key: 'shop', enabled: true };
    const token = await signToken(RSA.privateKey, CLAIMS);
    expect(await outcomeOf(plain, token)).to.equal('token_rejected');
    expect(await outcomeOf(plain, token, open(RSA.jwtPublicKey))).to.equal('is ann');
    const own: App = { ...plain, jwt_public_key: OTHER.jwtPublicKey };
    expect(await outcomeOf(own, token, open(RSA.jwtPublicKey))).to.equal('token_rejected');
  });

  describe('for an app with a JWKS', () => {
    let server: Server;
    let calls: number;
    let answer: () => string | Buffer;
    let app: App;

    beforeEach(async () => {
      calls = 0;
      server = createServer((_request, response) => {
        calls += 1;
        response.end(answer());
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      app = { key: 'shop', enabled: true, jwks_url: `http://127.0.0.1:${port}/keys` };
    });
    afterEach(() => server.close());

    async function publish(...pairs: [kid: string, pair: typeof RSA][]): Promise<void> {
      const keys = await Promise.all(
        pairs.map(async ([kid, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid, alg: 'RS256' })),
      );
      answer = () => JSON.stringify({ keys });
    }

    it('verifies tokens with one request for the keys', async () => {
      await publish(['one', RSA], ['two', OTHER]);
      const tokens = open();
      const one = await signToken(RSA.privateKey, CLAIMS, { kid: 'one' });
      const two = await signToken(OTHER.privateKey, CLAIMS, { kid: 'two' });
      for (const token of [one, two, one]) expect(await outcomeOf(app, token, tokens)).to.equal('is ann');
      expect(calls).to.equal(1);
      const forged = await signToken(keyPairFor('RS256').privateKey, CLAIMS, { kid: 'one' });
      expect(await outcomeOf(app, forged, tokens)).to.equal('token_rejected');
    });

    it('verifies tokens with a key that was published later', async () => {
      await publish(['one', RSA]);
      const tokens = new TokenVerifier({
        keys: new VerificationKeys({ jwtPublicKey: undefined, cooldownMs: 0 }),
        clockSkewMs: 0,
        failures: { note },
      });
      const later = await signToken(OTHER.privateKey, CLAIMS, { kid: 'two' });
      expect(await outcomeOf(app, later, tokens)).to.equal('token_rejected');
      await publish(['two', OTHER]);
      expect(await outcomeOf(app, later, tokens)).to.equal('is ann');
      const revoked = await signToken(RSA.privateKey, CLAIMS, { kid: 'one' });
      expect(await outcomeOf(app, revoked, tokens)).to.equal('token_rejected');
    });

    it('does not send a request for each unknown key id', async () => {
      await publish(['one', RSA]);
      const tokens = open();
      for (let n = 0; n < 10; n += 1) {
        const token = await signToken(RSA.privateKey, CLAIMS, { kid: `none ${n}` });
        expect(await outcomeOf(app, token, tokens)).to.equal('token_rejected');
      }
      expect(calls).to.equal(1);
    });

    it('rejects with keys_unavailable while the keys are unavailable', async () => {
      const token = await signToken(RSA.privateKey, CLAIMS, { kid: 'one' });
      const useless = ['', 'x', '[]', '{}', '{"keys":[7]}', `{"keys":[],"x":"${'x'.repeat(300_000)}"}`];
      for (const text of useless) {
        answer = () => text;
        expect(await outcomeOf(app, token), text.slice(0, 20)).to.equal('keys_unavailable');
      }
      const nowhere: App = { ...app, jwks_url: 'http://127.0.0.1:1/keys' };
      expect(await outcomeOf(nowhere, token)).to.equal('keys_unavailable');
    });

    it('sends no request during the cool-down after a failure, and logs the reason', async () => {
      noted = [];
      answer = () => 'x';
      const tokens = open();
      const token = await signToken(RSA.privateKey, CLAIMS, { kid: 'one' });
      const before = calls;
      for (let n = 0; n < 5; n += 1) expect(await outcomeOf(app, token, tokens)).to.equal('keys_unavailable');
      expect(calls - before).to.equal(1);
      expect(noted).to.have.length(5);
      expect(noted[4]).to.deep.include({
        app: 'shop',
        code: 'keys_unavailable',
        reason: 'no_key_set',
        status: 200,
      });
    });

    it('sends a request again after the cool-down', async () => {
      answer = () => 'x';
      const tokens = new TokenVerifier({
        keys: new VerificationKeys({ jwtPublicKey: undefined, cooldownMs: 30 }),
        clockSkewMs: 0,
        failures: { note },
      });
      const token = await signToken(RSA.privateKey, CLAIMS, { kid: 'one' });
      expect(await outcomeOf(app, token, tokens)).to.equal('keys_unavailable');
      await publish(['one', RSA]);
      await eventually(async () => (await outcomeOf(app, token, tokens)) === 'is ann', 'the keys are there');
    });

    it('rejects a key set that is not UTF-8', async () => {
      noted = [];
      const latin1 = Buffer.from('{"keys":[{"kty":"RSA","kid":"\xe9"}]}', 'latin1');
      answer = () => latin1;
      const token = await signToken(RSA.privateKey, CLAIMS, { kid: 'one' });
      expect(await outcomeOf(app, token)).to.equal('keys_unavailable');
      expect(noted[0]?.reason).to.equal('not_utf8');
    });
  });
});
