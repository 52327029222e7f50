import type { KeyObject } from 'node:crypto';
import { createRemoteJWKSet, customFetch, type JWTHeaderParameters, type JWTVerifyGetKey } from 'jose';
import * as v from 'valibot';
import type { App } from '../../shared/apps/app.ts';
import { publicKeyOf } from '../../shared/crypto/public-key.ts';
import { RefusalError } from '../../shared/errors/catalogue.ts';

/** Never `none`, never a symmetric one: a public key is no secret. jose checks that the key fits the algorithm. */
const ASYMMETRIC = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
const JWKS_DEADLINE_MS = 5_000;
/** How long keys are used before they are asked for again. */
const JWKS_FRESH_MS = 600_000;
/** Attack: tokens with key ids that do not exist, each of which would make a call. */
const JWKS_COOLDOWN_MS = 5_000;
const JWKS_MAX_BYTES = 256 * 1024;
/** Key sets kept, least recently used first to go. */
const JWKS_MAX = 1_000;

/** RFC 7517 §5; what the keys are is for jose to see. */
const keySet = v.object({ keys: v.array(v.looseObject({ kty: v.string() })) });

/** A key and the algorithms that it may be used with. */
export interface TokenKey {
  readonly key: KeyObject | Uint8Array | JWTVerifyGetKey;
  readonly algorithms: readonly string[];
}

/**
 * The keys that verify the tokens of an app: its own public key, else those at its JWKS address, else the key of
 * the whole installation. With its consent its secret too, for HS256 alone.
 */
export class TokenKeys {
  readonly #common: KeyObject | undefined;
  readonly #cooldownMs: number;
  readonly #sets = new Map<string, JWTVerifyGetKey>();

  /** `publicPem` is the key of the whole installation; `cooldownMs` the least time between two calls for keys. */
  constructor(options: { publicPem: string | undefined; cooldownMs?: number }) {
    this.#cooldownMs = options.cooldownMs ?? JWKS_COOLDOWN_MS;
    this.#common = options.publicPem === undefined ? undefined : publicKeyOf(options.publicPem);
  }

  /** Whether tokens of this app can be verified at all. */
  has(app: App): boolean {
    return (
      this.#common !== undefined ||
      app.jwt_public_key !== undefined ||
      app.jwks_url !== undefined ||
      usesHs256(app)
    );
  }

  /** The key for a token with this header. Throws `token_refused` if there is none. */
  find(app: App, { alg }: Partial<JWTHeaderParameters>): TokenKey {
    if (alg === 'HS256' && usesHs256(app))
      return { key: Buffer.from(app.secret ?? ''), algorithms: ['HS256'] };
    const key = this.#publicKey(app);
    if (key === undefined) throw new RefusalError('token_refused');
    return { key, algorithms: ASYMMETRIC };
  }

  #publicKey({ jwt_public_key, jwks_url }: App): KeyObject | JWTVerifyGetKey | undefined {
    if (jwt_public_key !== undefined) return publicKeyOf(jwt_public_key);
    return jwks_url === undefined ? this.#common : this.#keySet(jwks_url);
  }

  #keySet(url: string): JWTVerifyGetKey {
    const set = this.#sets.get(url) ?? openKeySet(url, this.#cooldownMs);
    this.#sets.delete(url);
    this.#sets.set(url, set);
    const [oldest] = this.#sets.keys();
    if (this.#sets.size > JWKS_MAX && oldest !== undefined) this.#sets.delete(oldest);
    return set;
  }
}

function usesHs256({ jwt_hs256, secret }: App): boolean {
  return jwt_hs256 === true && secret !== undefined;
}

function openKeySet(url: string, cooldownMs: number): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(url), {
    timeoutDuration: JWKS_DEADLINE_MS,
    cooldownDuration: cooldownMs,
    cacheMaxAge: JWKS_FRESH_MS,
    [customFetch]: fetchKeys,
  });
}

/** Whatever goes wrong on the way to a key set is one refusal. The deadline is in the signal that jose gives along. */
async function fetchKeys(url: string, options: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, options);
    const text = await readBounded(response);
    if (response.status === 200 && v.is(keySet, JSON.parse(text))) return new Response(text);
  } catch {
    // Not reached, not in time, too large or not JSON.
  }
  throw new RefusalError('keys_unavailable');
}

/** Attack: an address that never stops answering. */
async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > JWKS_MAX_BYTES) throw new Error('the key set is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
