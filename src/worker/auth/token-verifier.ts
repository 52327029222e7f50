import { isUtf8 } from 'node:buffer';
import type { JWTPayload } from 'jose';
import { decodeProtectedHeader } from 'jose/decode/protected_header';
import { JWTClaimValidationFailed, JWTExpired } from 'jose/errors';
import { decodeJwt } from 'jose/jwt/decode';
import { jwtVerify } from 'jose/jwt/verify';
import * as v from 'valibot';
import type { App } from '../../shared/apps/app.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import { isObject } from '../../shared/json/is-object.ts';
import { sliceMembers } from '../../shared/json/raw-json.ts';
import type { FailureLog } from '../../shared/logging/failure-log.ts';
import { grantList } from '../../shared/model/grants.ts';
import { isAppKey } from '../../shared/model/names.ts';
import { type Identity, remotes, userId, withExactUserId } from './identity.ts';
import { KeySetError, type TokenKey, type VerificationKeys } from './verification-keys.ts';

const MS_PER_SECOND = 1_000;

/** The claim `gusher` of upstream (doc/protocal.md of gusher.cluster). */
const claims = v.object({
  app_key: v.pipe(v.string(), v.check(isAppKey)),
  user_id: v.optional(v.nullable(userId)),
  channels: v.optional(v.nullable(grantList)),
  remotes: v.optional(v.nullable(remotes)),
});

export interface TokenVerifierOptions {
  readonly keys: VerificationKeys;
  readonly clockSkewMs: number;
  readonly failures: Pick<FailureLog, 'note'>;
}

/**
 * Verifies the tokens of clients: JWTs (RFC 7519) with a claim `gusher`. Rejects with `token_rejected`, `token_expired`,
 * `token_not_yet_valid`, `token_of_other_app` or `keys_unavailable`. Errors contain neither a token nor unverified claims.
 */
export class TokenVerifier {
  readonly #options: TokenVerifierOptions;

  constructor(options: TokenVerifierOptions) {
    this.#options = options;
  }

  /** Returns true if the app has a key for its tokens. */
  supports(app: App): boolean {
    return this.#options.keys.has(app);
  }

  /** Verifies a token and returns the identity of its bearer. */
  async identify(app: App, token: string): Promise<Identity> {
    const { exp, ...payload } = await this.verify(app, token);
    const gusher = claimsIn(payload, payloadTextOf(token));
    return {
      userId: gusher.user_id ?? '',
      channels: gusher.channels ?? [],
      remotes: gusher.remotes ?? [],
      expiresAt: exp === undefined ? undefined : exp * MS_PER_SECOND,
    };
  }

  /** Verifies a token and returns all its claims. */
  async verify(app: App, token: string): Promise<JWTPayload> {
    if (appKeyOf(token) !== app.key) throw new GusherError('token_of_other_app');
    try {
      const { keys, clockSkewMs } = this.#options;
      const { key, algorithms } = keys.find(app, decodeProtectedHeader(token));
      const options = { algorithms: [...algorithms], clockTolerance: clockSkewMs / MS_PER_SECOND };
      return (await verifyWith(token, key, options)).payload;
    } catch (error) {
      const gusherError = toGusherError(error);
      if (gusherError.cause instanceof KeySetError) {
        const { reason, status, systemCode } = gusherError.cause;
        this.#options.failures.note('jwks_failed', {
          app: app.key,
          code: gusherError.code,
          reason,
          status,
          systemCode,
        });
      }
      throw gusherError;
    }
  }
}

/**
 * Returns the app key in an unverified token. Throws `token_rejected` if the token has none, or if its payload is not UTF-8
 * (RFC 7519 §7.2), because decoding could map two users to one.
 */
export function appKeyOf(token: string): string {
  const text = payloadTextOf(token);
  try {
    return claimsIn(decodeJwt(token), text).app_key;
  } catch {
    // The token is not a JWT, or its claims are invalid.
    throw new GusherError('token_rejected');
  }
}

function payloadTextOf(token: string): string {
  const [, payload = ''] = token.split('.', 2);
  const bytes = Buffer.from(payload, 'base64url');
  if (!isUtf8(bytes)) throw new GusherError('token_rejected');
  return bytes.toString('utf8');
}

/** Returns the claim `gusher` of a payload and its JSON text. Throws `token_rejected` if it is invalid. */
function claimsIn({ gusher }: JWTPayload, text: string): v.InferOutput<typeof claims> {
  const raw = sliceMembers(text)?.get('gusher') ?? '';
  const parsed = v.safeParse(claims, isObject(gusher) ? withExactUserId(gusher, raw) : undefined);
  if (!parsed.success) throw new GusherError('token_rejected');
  return parsed.output;
}

/** jwtVerify has two overloads, and TypeScript resolves a union argument to neither. */
function verifyWith(token: string, key: TokenKey['key'], options: object): Promise<{ payload: JWTPayload }> {
  return typeof key === 'function' ? jwtVerify(token, key, options) : jwtVerify(token, key, options);
}

function toGusherError(error: unknown): GusherError {
  if (error instanceof GusherError) return error;
  if (error instanceof JWTExpired) return new GusherError('token_expired');
  const isEarly = error instanceof JWTClaimValidationFailed && error.claim === 'nbf';
  return new GusherError(isEarly ? 'token_not_yet_valid' : 'token_rejected');
}
