import type { Logger } from '../log.ts';

/** Somebody may ask for any number of apps; whoever mends this many has read enough. */
const REMEMBERED_MAX = 1_000;

/**
 * Tells the operator of apps that are stored and cannot be served, once for each fault: to their clients such an app is
 * not there.
 */
export class AppComplaints {
  readonly #log: Logger;
  readonly #told = new Map<string, string>();

  constructor(options: { log: Logger }) {
    this.#log = options.log;
  }

  /** Names of fields alone: what they hold may be a secret. */
  readonly complain = (app: string, fields: readonly string[]): void => {
    const fault = fields.join();
    if (this.#told.get(app) === fault) return;
    if (this.#told.size >= REMEMBERED_MAX) this.#told.clear();
    this.#told.set(app, fault);
    this.#log.warn({ app, fields }, 'an app is registered with fields that break the rules, and not served');
  };
}
