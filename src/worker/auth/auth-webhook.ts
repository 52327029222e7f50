import * as v from 'valibot';
import { GusherError } from '../../shared/errors/catalogue.ts';
import { isObject } from '../../shared/json/is-object.ts';
import { parseJson } from '../../shared/json/parse-json.ts';
import { observe } from '../../shared/metrics/histogram.ts';
import { count, type Stats } from '../../shared/metrics/stats.ts';
import { grant, grantList } from '../../shared/model/grants.ts';
import {
  type HttpClient,
  HttpRequestError,
  type HttpResponse,
  utf8Text,
} from '../../shared/net/http-client.ts';
import { type Identity, remotes, userId, withExactUserId } from './identity.ts';

/** RFC 6585 §4: the backend is busy, and has not checked the credential. */
const TOO_MANY_REQUESTS = 429;
/**
 * Statuses by which a backend rejects a credential. Any other 4xx (404, 405, 415, 419, …) comes from a wrong address, a
 * wrong route or a framework in front of the backend, which the operator must correct.
 */
const REJECTIONS: ReadonlySet<number> = new Set([400, 401, 402, 403, 409, 410, 422]);
const MS_PER_SECOND = 1_000;
const HEADERS = { 'Content-Type': 'application/x-www-form-urlencoded' };

const channels = v.union([
  grantList,
  v.pipe(
    grant,
    v.transform((name) => [name]),
  ),
]);
/** `channel` is upstream's name for `channels`. */
const answer = v.object({
  user_id: v.optional(v.nullable(userId)),
  channels: v.optional(v.nullable(channels)),
  channel: v.optional(v.nullable(channels)),
  remotes: v.optional(v.nullable(remotes)),
});

type WebhookStats = Pick<Stats, 'authWebhook' | 'authWebhookFailures'>;

/** Why an auth webhook did not identify a client, for the log. */
export class AuthWebhookError extends Error {
  readonly reason: string;
  readonly status: number | undefined;
  readonly systemCode: string | undefined;

  constructor(reason: string, details: { status?: number | undefined; systemCode?: string | undefined }) {
    super(reason);
    this.reason = reason;
    this.status = details.status;
    this.systemCode = details.systemCode;
  }
}

/**
 * Sends the credential of a client to the auth webhook of its app: `POST`, form field `auth`. Rejects with
 * `auth_rejected`, `auth_unusable`, `auth_timeout` or `auth_busy`; the cause of the last three is an
 * `AuthWebhookError`.
 */
export class AuthWebhook {
  readonly #client: Pick<HttpClient, 'send' | 'close'>;
  readonly #stats: WebhookStats;

  constructor(options: { client: Pick<HttpClient, 'send' | 'close'>; stats: WebhookStats }) {
    this.#client = options.client;
    this.#stats = options.stats;
  }

  async identify(app: string, url: string, auth: string): Promise<Identity> {
    const startedAt = performance.now();
    try {
      return await this.#request(app, url, auth);
    } catch (error) {
      const { cause } = error as Error;
      if (cause instanceof AuthWebhookError) count(this.#stats.authWebhookFailures, cause.reason);
      throw error;
    } finally {
      observe(this.#stats.authWebhook, (performance.now() - startedAt) / MS_PER_SECOND);
    }
  }

  async #request(app: string, url: string, auth: string): Promise<Identity> {
    const body = new URLSearchParams({ auth }).toString();
    // A repeat is safe: a client that reconnects presents the same credential again.
    const response = await this.#client
      .send({ app, url, headers: HEADERS, body, isRepeatable: true })
      .catch(rethrowAsGusherError);
    return parseResponse(response);
  }

  close(): void {
    this.#client.close();
  }
}

function rethrowAsGusherError(error: unknown): never {
  const { reason, status, systemCode } = error as HttpRequestError;
  if (!(error instanceof HttpRequestError)) throw error;
  const code = reason === 'busy' ? 'auth_busy' : reason === 'timeout' ? 'auth_timeout' : 'auth_unusable';
  throw new GusherError(code, { cause: new AuthWebhookError(reason, { status, systemCode }) });
}

function parseResponse({ status, body }: HttpResponse): Identity {
  if (status === TOO_MANY_REQUESTS) {
    throw new GusherError('auth_busy', { cause: new AuthWebhookError('too_many_requests', { status }) });
  }
  if (REJECTIONS.has(status)) throw new GusherError('auth_rejected');
  if (status < 200 || status >= 300) throw unusable('status', status);
  const text = utf8Text(body);
  if (text === undefined) throw unusable('not_utf8', status);
  const value = parseJson(text);
  if (value === undefined) throw unusable('not_json', status);
  const parsed = v.safeParse(answer, isObject(value) ? withExactUserId(value, text) : undefined);
  if (!parsed.success) throw unusable('invalid_fields', status);
  const { user_id: user, channels: many, channel: single, remotes: granted } = parsed.output;
  const grants = many ?? single;
  if (grants === undefined || grants === null) throw unusable('no_channels', status);
  if (grants.length === 0) throw new GusherError('auth_rejected');
  return { userId: user ?? '', channels: grants, remotes: granted ?? [], expiresAt: undefined };
}

function unusable(reason: string, status: number): GusherError {
  return new GusherError('auth_unusable', { cause: new AuthWebhookError(reason, { status }) });
}
