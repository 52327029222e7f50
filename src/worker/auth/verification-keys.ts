import type { KeyObject } from 'node:crypto';
import { createRemoteJWKSet, customFetch, type JWTHeaderParameters, type JWTVerifyGetKey } from 'jose';
import * as v from 'valibot';
import type { App } from '../../shared/apps/app.ts';
import { publicKeyOf } from '../../shared/crypto/public-key.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import { parseJson } from '../../shared/json/parse-json.ts';
import { HttpClient, HttpRequestError, utf8Text } from '../../shared/net/http-client.ts';

/** Never `none`, never a symmetric one: a public key is no secret. jose checks that the key fits the algorithm. */
const ASYMMETRIC = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
const JWKS_TIMEOUT_MS = 5_000;
/** How long keys are used before they are asked for again. */
const JWKS_FRESH_MS = 600_000;
/** Attack: tokens with key ids that do not exist, or an address that fails: each token would make a request. */
const JWKS_COOLDOWN_MS = 5_000;
const JWKS_MAX_BYTES = 256 * 1024;
/** Key sets kept, least recently used first to go. */
const JWKS_MAX = 1_000;
const JWKS_REQUESTS_MAX = 256;
/** jose makes one request at a time for each key set. */
const JWKS_REQUESTS_PER_SET_MAX = 2;
const OK = 200;

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
export class VerificationKeys {
  readonly #common: KeyObject | undefined;
  readonly #cooldownMs: number;
  readonly #client = new HttpClient({
    timeoutMs: JWKS_TIMEOUT_MS,
    requestsMax: JWKS_REQUESTS_MAX,
    requestsPerAppMax: JWKS_REQUESTS_PER_SET_MAX,
    responseMaxBytes: JWKS_MAX_BYTES,
    allowPrivate: true,
  });
  readonly #sets = new Map<string, JWTVerifyGetKey>();

  /** `jwtPublicKey` is the key of the whole installation; `cooldownMs` the least time between two calls for keys. */
  constructor(options: { jwtPublicKey: string | undefined; cooldownMs?: number }) {
    this.#cooldownMs = options.cooldownMs ?? JWKS_COOLDOWN_MS;
    this.#common = options.jwtPublicKey === undefined ? undefined : publicKeyOf(options.jwtPublicKey);
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
    if (key === undefined) throw new GusherError('token_refused');
    return { key, algorithms: ASYMMETRIC };
  }

  #publicKey({ jwt_public_key, jwks_url }: App): KeyObject | JWTVerifyGetKey | undefined {
    if (jwt_public_key !== undefined) return publicKeyOf(jwt_public_key);
    return jwks_url === undefined ? this.#common : this.#keySet(jwks_url);
  }

  #keySet(url: string): JWTVerifyGetKey {
    const set = this.#sets.get(url) ?? this.#open(url);
    this.#sets.delete(url);
    this.#sets.set(url, set);
    const [oldest] = this.#sets.keys();
    if (this.#sets.size > JWKS_MAX && oldest !== undefined) this.#sets.delete(oldest);
    return set;
  }

  #open(url: string): JWTVerifyGetKey {
    const source = new KeySetSource({ url, client: this.#client, cooldownMs: this.#cooldownMs });
    return createRemoteJWKSet(new URL(url), {
      timeoutDuration: JWKS_TIMEOUT_MS,
      cooldownDuration: this.#cooldownMs,
      cacheMaxAge: JWKS_FRESH_MS,
      [customFetch]: () => source.fetch(),
    });
  }

  close(): void {
    this.#client.close();
  }
}

function usesHs256({ jwt_hs256, secret }: App): boolean {
  return jwt_hs256 === true && secret !== undefined;
}

/** Why there is no key set, for the log. */
export class KeySetError extends Error {
  readonly reason: string;
  readonly status: number | undefined;
  readonly systemCode: string | undefined;

  constructor(
    reason: string,
    details: { status?: number | undefined; systemCode?: string | undefined } = {},
  ) {
    super(reason);
    this.reason = reason;
    this.status = details.status;
    this.systemCode = details.systemCode;
  }
}

/** Fetches one key set. After a failure no request is made for the cool-down: the failure is repeated instead. */
class KeySetSource {
  readonly #url: string;
  readonly #client: Pick<HttpClient, 'send'>;
  readonly #cooldownMs: number;
  #failure: { readonly error: KeySetError; readonly until: number } | undefined;

  constructor(options: { url: string; client: Pick<HttpClient, 'send'>; cooldownMs: number }) {
    this.#url = options.url;
    this.#client = options.client;
    this.#cooldownMs = options.cooldownMs;
  }

  /** Rejects with `keys_unavailable`, its cause a `KeySetError`. */
  async fetch(): Promise<Response> {
    if (this.#failure !== undefined && performance.now() < this.#failure.until) {
      throw new GusherError('keys_unavailable', { cause: this.#failure.error });
    }
    try {
      const text = await this.#read();
      this.#failure = undefined;
      return new Response(text);
    } catch (error) {
      if (!(error instanceof KeySetError)) throw error;
      this.#failure = { error, until: performance.now() + this.#cooldownMs };
      throw new GusherError('keys_unavailable', { cause: error });
    }
  }

  async #read(): Promise<string> {
    const url = this.#url;
    const { status, body } = await this.#client.send({ app: url, url, isRepeatable: true }).catch(rethrow);
    if (status !== OK) throw new KeySetError('status', { status });
    const text = utf8Text(body);
    if (text === undefined) throw new KeySetError('not_utf8', { status });
    if (!v.is(keySet, parseJson(text))) throw new KeySetError('no_key_set', { status });
    return text;
  }
}

function rethrow(error: unknown): never {
  if (!(error instanceof HttpRequestError)) throw error;
  throw new KeySetError(error.reason, error);
}
