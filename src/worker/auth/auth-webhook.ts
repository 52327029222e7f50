import * as v from 'valibot';
import { grantList } from '../../shared/apps/app.ts';
import type { Settings } from '../../shared/config/settings.ts';
import { RefusalError } from '../../shared/errors/catalogue.ts';
import { parseJson } from '../../shared/json/parse-json.ts';
import { CallLateError, CallsBusyError, type HttpAnswer, HttpCalls } from '../../shared/net/http-client.ts';
import { type Identity, remotes, userId } from './identity.ts';

/** RFC 6585 §4: whoever is asked has no time, and says nothing of the client. */
const TOO_MANY_REQUESTS = 429;
const HEADERS = { 'Content-Type': 'application/x-www-form-urlencoded' };

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

/**
 * Asks the webhook of an app who a client is: `POST`, form field `auth`. The whole call, waiting for a place
 * included, ends within the deadline. Refuses with `auth_refused`, `auth_unusable`, `auth_timeout` or
 * `auth_busy`.
 */
export class Webhook {
  readonly #calls: HttpCalls;

  constructor(settings: Pick<Settings, 'webhookDeadlineMs' | 'webhookMaxInFlight'>) {
    const { webhookDeadlineMs: deadlineMs, webhookMaxInFlight: maxInFlight } = settings;
    this.#calls = new HttpCalls({ deadlineMs, maxInFlight });
  }

  async identify(url: string, auth: string): Promise<Identity> {
    try {
      return judge(await this.#calls.post(url, HEADERS, new URLSearchParams({ auth }).toString()));
    } catch (error) {
      if (error instanceof RefusalError) throw error;
      if (error instanceof CallsBusyError) throw new RefusalError('auth_busy');
      const code = error instanceof CallLateError ? 'auth_timeout' : 'auth_unusable';
      throw new RefusalError(code, { cause: error });
    }
  }

  close(): void {
    this.#calls.close();
  }
}

function judge({ status, body }: HttpAnswer): Identity {
  if (status === TOO_MANY_REQUESTS) throw new RefusalError('auth_busy');
  if (status >= 400 && status < 500) throw new RefusalError('auth_refused');
  if (status < 200 || status >= 300) throw new RefusalError('auth_unusable');
  const value = parseJson(body);
  // A list would pass for an object that says nothing.
  const parsed = v.safeParse(answer, Array.isArray(value) ? undefined : value);
  if (!parsed.success) throw new RefusalError('auth_unusable');
  const { user_id: user, channels: several, channel: one, remotes: named } = parsed.output;
  const granted = several ?? one ?? [];
  if (granted.length === 0) throw new RefusalError('auth_refused');
  return { userId: user ?? '', channels: granted, remotes: named ?? [], expiresAt: undefined };
}
