import type { KeyObject } from 'node:crypto';
import type { JWTHeaderParameters, JWTVerifyGetKey } from 'jose';
import { createRemoteJWKSet, customFetch } from 'jose/jwks/remote';
import * as v from 'valibot';
import type { App } from '../../shared/apps/app.ts';
import { publicKeyOf } from '../../shared/crypto/public-key.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import { parseJson } from '../../shared/json/parse-json.ts';
import { HttpClient, HttpRequestError, utf8Text } from '../../shared/net/http-client.ts';

/** Asymmetric algorithms only: a public key is not a secret. jose checks that the key fits the algorithm. */
const ASYMMETRIC = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
const JWKS_TIMEOUT_MS = 5_000;
/** Time for which a key set is cached. */
const JWKS_CACHE_TTL_MS = 600_000;
/** Pause between requests. Attack: tokens with unknown key ids, or a failing address: each token would cause a request. */
const JWKS_COOLDOWN_MS = 5_000;
const JWKS_MAX_BYTES = 256 * 1024;
/** Cached key sets; the least recently used one is evicted. */
const KEY_SETS_MAX = 1_000;
const JWKS_REQUESTS_MAX = 256;
/** jose makes one request at a time for each key set. */
const JWKS_REQUESTS_PER_SET_MAX = 2;
const OK = 200;

/** RFC 7517 §5; jose validates the keys. */
const keySet = v.object({ keys: v.array(v.looseObject({ kty: v.string() })) });

/** A key and its permitted algorithms. */
export interface TokenKey {
  readonly key: KeyObject | Uint8Array | JWTVerifyGetKey;
  readonly algorithms: readonly string[];
}

/**
 * Finds the keys for the tokens of an app: its own public key, else its JWKS, else the key of the installation. If the app
 * enables HS256, its secret verifies tokens of that algorithm alone.
 */
export class VerificationKeys {
  readonly #installationKey: KeyObject | undefined;
  readonly #cooldownMs: number;
  readonly #client = new HttpClient({
    timeoutMs: JWKS_TIMEOUT_MS,
    requestsMax: JWKS_REQUESTS_MAX,
    requestsPerAppMax: JWKS_REQUESTS_PER_SET_MAX,
    responseMaxBytes: JWKS_MAX_BYTES,
    allowPrivate: true,
  });
  readonly #sets = new Map<string, JWTVerifyGetKey>();

  /** `jwtPublicKey` is the key of the installation; `cooldownMs` is the minimum time between two requests for a key set. */
  constructor(options: { jwtPublicKey: string | undefined; cooldownMs?: number }) {
    this.#cooldownMs = options.cooldownMs ?? JWKS_COOLDOWN_MS;
    this.#installationKey =
      options.jwtPublicKey === undefined ? undefined : publicKeyOf(options.jwtPublicKey);
  }

  /** Returns true if the app has a key for its tokens. */
  has(app: App): boolean {
    return (
      this.#installationKey !== undefined ||
      app.jwt_public_key !== undefined ||
      app.jwks_url !== undefined ||
      usesHs256(app)
    );
  }

  /** Returns the key for a token with this header. Throws `token_rejected` if the app has none. */
  find(app: App, { alg }: Partial<JWTHeaderParameters>): TokenKey {
    if (alg === 'HS256' && usesHs256(app))
      return { key: Buffer.from(app.secret ?? ''), algorithms: ['HS256'] };
    const key = this.#publicKey(app);
    if (key === undefined) throw new GusherError('token_rejected');
    return { key, algorithms: ASYMMETRIC };
  }

  #publicKey({ jwt_public_key, jwks_url }: App): KeyObject | JWTVerifyGetKey | undefined {
    if (jwt_public_key !== undefined) return publicKeyOf(jwt_public_key);
    return jwks_url === undefined ? this.#installationKey : this.#keySet(jwks_url);
  }

  #keySet(url: string): JWTVerifyGetKey {
    const set = this.#sets.get(url) ?? this.#createKeySet(url);
    this.#sets.delete(url);
    this.#sets.set(url, set);
    const [oldest] = this.#sets.keys();
    if (this.#sets.size > KEY_SETS_MAX && oldest !== undefined) this.#sets.delete(oldest);
    return set;
  }

  #createKeySet(url: string): JWTVerifyGetKey {
    const fetcher = new KeySetFetcher({ url, client: this.#client, cooldownMs: this.#cooldownMs });
    return createRemoteJWKSet(new URL(url), {
      timeoutDuration: JWKS_TIMEOUT_MS,
      cooldownDuration: this.#cooldownMs,
      cacheMaxAge: JWKS_CACHE_TTL_MS,
      [customFetch]: () => fetcher.fetch(),
    });
  }

  close(): void {
    this.#client.close();
  }
}

function usesHs256({ jwt_hs256, secret }: App): boolean {
  return jwt_hs256 === true && secret !== undefined;
}

/** Why a key set is unavailable, for the log. */
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

/** Fetches one key set. During the cool-down after a failure, it repeats the error without a request. */
class KeySetFetcher {
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
    const { status, body } = await this.#client
      .send({ app: url, url, isRepeatable: true })
      .catch(rethrowAsKeySetError);
    if (status !== OK) throw new KeySetError('status', { status });
    const text = utf8Text(body);
    if (text === undefined) throw new KeySetError('not_utf8', { status });
    if (!v.is(keySet, parseJson(text))) throw new KeySetError('no_key_set', { status });
    return text;
  }
}

function rethrowAsKeySetError(error: unknown): never {
  if (!(error instanceof HttpRequestError)) throw error;
  throw new KeySetError(error.reason, error);
}
