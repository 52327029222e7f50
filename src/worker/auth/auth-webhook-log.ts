import type { RefusalError } from '../../shared/errors/catalogue.ts';
import type { Logger } from '../../shared/log.ts';

/** An operator has to know once; a webhook that is down fails for every client that connects. */
const ONCE_IN_MS = 10_000;
/** Attack: none is known, since only registered apps have a webhook; but nothing here grows for ever. */
const REMEMBERED_MAX = 10_000;

/** Logs that the webhook of an app fails, once in a while for each app; never its URL, which may hold secrets. */
export class WebhookComplaints {
  readonly #log: Logger;
  readonly #loggedAt = new Map<string, number>();

  constructor(options: { log: Logger }) {
    this.#log = options.log;
  }

  note(appKey: string, { code, cause }: RefusalError): void {
    // A client that is refused is no fault of the webhook.
    if (code === 'auth_refused') return;
    const now = performance.now();
    if (now - (this.#loggedAt.get(appKey) ?? Number.NEGATIVE_INFINITY) < ONCE_IN_MS) return;
    if (this.#loggedAt.size >= REMEMBERED_MAX) this.#loggedAt.clear();
    this.#loggedAt.set(appKey, now);
    const fault = (cause as NodeJS.ErrnoException | undefined)?.code;
    this.#log.warn({ app: appKey, refusal: code, fault }, 'a webhook does not let its clients in');
  }
}
