import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import * as v from 'valibot';
import { grantList } from '../../shared/app.ts';
import type { Settings } from '../../shared/config.ts';
import { RefusalError } from '../../shared/errors.ts';
import { type Identity, remotes, userId } from './identity.ts';

/** Attack: a webhook, or what sits at its address, that never stops answering. */
const ANSWER_MAX_BYTES = 256 * 1024;
/** Calls that may wait for a free place, as a multiple of the places. */
const QUEUE_FACTOR = 10;

const channels = v.union([
  grantList,
  v.pipe(
    v.string(),
    v.minLength(1),
    v.transform((name) => [name]),
  ),
]);
/** `channel` is how the seed spells `channels`. */
const answer = v.object({
  user_id: v.optional(v.nullable(userId)),
  channels: v.optional(v.nullable(channels)),
  channel: v.optional(v.nullable(channels)),
  remotes: v.optional(v.nullable(remotes)),
});

/** A place among the calls in flight, or a wait for one. */
type Waiting = () => void;

/**
 * Asks the webhook of an app who a client is: `POST`, form field `auth`. The whole call, waiting for a place
 * included, ends within the deadline. Refuses with `auth_refused`, `auth_unusable`, `auth_timeout` or
 * `auth_busy`.
 */
export class Webhook {
  readonly #deadlineMs: number;
  readonly #maxInFlight: number;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;
  readonly #waiting: Waiting[] = [];
  #inFlight = 0;

  constructor(settings: Pick<Settings, 'webhookDeadlineMs' | 'webhookMaxInFlight'>) {
    this.#deadlineMs = settings.webhookDeadlineMs;
    this.#maxInFlight = settings.webhookMaxInFlight;
    const keepAlive = { keepAlive: true, maxSockets: settings.webhookMaxInFlight };
    this.#http = new HttpAgent(keepAlive);
    this.#https = new HttpsAgent(keepAlive);
  }

  async identify(url: string, auth: string): Promise<Identity> {
    const deadline = AbortSignal.timeout(this.#deadlineMs);
    await this.#takePlace(deadline);
    try {
      const { status, body } = await this.#post(url, auth, deadline);
      return judge(status, body);
    } catch (error) {
      if (error instanceof RefusalError) throw error;
      throw new RefusalError(deadline.aborted ? 'auth_timeout' : 'auth_unusable');
    } finally {
      this.#leavePlace();
    }
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  async #takePlace(deadline: AbortSignal): Promise<void> {
    if (this.#inFlight < this.#maxInFlight) {
      this.#inFlight += 1;
      return;
    }
    if (this.#waiting.length >= QUEUE_FACTOR * this.#maxInFlight) throw new RefusalError('auth_busy');
    await new Promise<void>((resolve, reject) => {
      const enter: Waiting = () => {
        deadline.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(new RefusalError('auth_timeout'));
      };
      deadline.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(enter);
    });
  }

  /** The place goes to whoever waits longest, or is free. */
  #leavePlace(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inFlight -= 1;
    else next();
  }

  async #post(url: string, auth: string, signal: AbortSignal): Promise<{ status: number; body: string }> {
    try {
      return await this.#postOnce(url, auth, signal);
    } catch (error) {
      // A kept connection may have been closed by the other side just when it was used again (RFC 9112 §9.3.1).
      if (!(error instanceof StaleConnectionError)) throw error;
      return this.#postOnce(url, auth, signal);
    }
  }

  #postOnce(url: string, auth: string, signal: AbortSignal): Promise<{ status: number; body: string }> {
    const secure = url.startsWith('https:');
    const body = new URLSearchParams({ auth }).toString();
    const options: RequestOptions = {
      method: 'POST',
      agent: secure ? this.#https : this.#http,
      signal,
      headers: {
        'Content-Type': 'application/x-www-form-urlencoded',
        'Content-Length': Buffer.byteLength(body),
        Accept: 'application/json',
        'User-Agent': 'gusher',
      },
    };
    return new Promise((resolve, reject) => {
      const request = (secure ? httpsRequest : httpRequest)(url, options, (response) => {
        readAnswer(response).then(resolve, reject);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        const stale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        reject(stale ? new StaleConnectionError() : error);
      });
      request.end(body);
    });
  }
}

class StaleConnectionError extends Error {}

async function readAnswer(response: IncomingMessage): Promise<{ status: number; body: string }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_MAX_BYTES) {
      response.destroy();
      throw new RefusalError('auth_unusable');
    }
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
}

function judge(status: number, body: string): Identity {
  if (status >= 400 && status < 500) throw new RefusalError('auth_refused');
  if (status < 200 || status >= 300) throw new RefusalError('auth_unusable');
  const parsed = v.safeParse(answer, parseJson(body));
  if (!parsed.success) throw new RefusalError('auth_unusable');
  const { user_id: user, channels: several, channel: one } = parsed.output;
  const granted = several ?? one ?? [];
  if (granted.length === 0) throw new RefusalError('auth_refused');
  return {
    userId: user ?? '',
    channels: granted,
    remotes: parsed.output.remotes ?? [],
    expiresAt: undefined,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The schema refuses what is no object.
    return undefined;
  }
}
