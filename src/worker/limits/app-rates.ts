import type { App } from '../../shared/apps/app.ts';
import { type ErrorCode, GusherError } from '../../shared/errors/catalogue.ts';
import type { RateKind, ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import type { AppUsage } from './app-allowances.ts';

/** Unused tokens expire after this time, so that a burst cannot use the tokens of minutes. */
const TOKEN_MS = 1_000;
/** Time for which a worker does not ask again after the primary had nothing left. */
const EMPTY_MS = 50;
/** Interval of the reports of sent bytes. */
const REPORT_MS = 100;
/** Attack: requests that wait for tokens. */
const WAITING_MAX = 10_000;

type TokenKind = Exclude<RateKind, 'bytesOut'>;

const ERROR_OF: Readonly<Record<TokenKind, ErrorCode>> = {
  publishes: 'too_many_publishes',
  clientEvents: 'too_many_app_client_events',
};

interface Waiter {
  readonly count: number;
  readonly resolve: () => void;
  readonly reject: (error: GusherError) => void;
}

/** The tokens of one app and kind. */
interface Tokens {
  /** The limit when it was last read. */
  perSecond: number;
  available: number;
  expireAt: number;
  /** The primary had nothing left; until then it is not asked again. */
  emptyUntil: number;
  /** What the request in flight asks for; 0 without one. */
  wanted: number;
  readonly waiters: Waiter[];
}

/** The limits of apps without their own; 0 for none. */
export interface DefaultRates {
  readonly appPublishesPerSecond: number;
  readonly appClientEventsPerSecond: number;
  readonly appBytesOutPerSecond: number;
}

export interface AppRateOptions {
  readonly defaults: DefaultRates;
  /** The app as it was last read. */
  readonly remembered: (app: string) => App | undefined;
  readonly send: (message: ToPrimary) => void;
  /** Returns the apps to which this worker has sent bytes since the last call. */
  readonly takeSending: () => readonly AppUsage[];
}

/**
 * Limits the publications, client events and sent bytes of each app per second, on all workers of the host together; see
 * `RateServer`. Attack: one app that occupies the host. Apps without a limit cost nothing.
 */
export class AppRates {
  readonly #options: AppRateOptions;
  readonly #tokens = new Map<string, Tokens>();
  /** By app: until when its publications are rejected, because of the bytes sent before (`performance.now()`). */
  readonly #blockedUntil = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: AppRateOptions) {
    this.#options = options;
    this.#timer = setInterval(this.#tick, REPORT_MS).unref();
  }

  /** Rejects everything that waits. */
  close(): void {
    clearInterval(this.#timer);
    for (const { waiters } of this.#tokens.values()) rejectAll(waiters, 'broker_unavailable');
  }

  /**
   * Call before the first of `count` publications of the API. Throws or rejects with `too_many_publishes` or
   * `too_many_bytes_out`; then none may be published.
   */
  admitPublications(app: App, count: number): Promise<void> | undefined {
    const perSecond = app.max_publishes_per_second ?? limitOf(this.#options.defaults.appPublishesPerSecond);
    return this.#admit(app, 'publishes', perSecond, count);
  }

  /** Call before a client event. Throws or rejects with `too_many_app_client_events` or `too_many_bytes_out`. */
  admitClientEvent(app: App): Promise<void> | undefined {
    const perSecond =
      app.max_client_events_per_second ?? limitOf(this.#options.defaults.appClientEventsPerSecond);
    return this.#admit(app, 'clientEvents', perSecond, 1);
  }

  receive(message: Extract<ToWorker, { type: 'rateGrant' | 'bytesOutExceeded' }>): void {
    const now = performance.now();
    if (message.type === 'bytesOutExceeded') {
      this.#blockedUntil.set(message.app, now + message.forMs);
      return;
    }
    const tokens = this.#tokens.get(keyOf(message.app, message.kind));
    if (tokens === undefined) return;
    tokens.available = (now < tokens.expireAt ? tokens.available : 0) + message.granted;
    tokens.expireAt = now + TOKEN_MS;
    const isEmpty = message.granted < tokens.wanted;
    tokens.wanted = 0;
    if (message.granted === 0) tokens.emptyUntil = now + EMPTY_MS;
    const { waiters } = tokens;
    for (let [first] = waiters; first !== undefined && first.count <= tokens.available; [first] = waiters) {
      waiters.shift();
      tokens.available -= first.count;
      first.resolve();
    }
    if (isEmpty) rejectAll(waiters, ERROR_OF[message.kind]);
    // These came after the request.
    else if (waiters.length > 0) this.#request(message.app, message.kind, tokens);
  }

  #admit(app: App, kind: TokenKind, perSecond: number | undefined, count: number): Promise<void> | undefined {
    const isBlocked = performance.now() < (this.#blockedUntil.get(app.key) ?? 0);
    if (isBlocked || this.#bytesOutLimit(app) === 0) throw new GusherError('too_many_bytes_out');
    return perSecond === undefined || count === 0 ? undefined : this.#take(app.key, kind, perSecond, count);
  }

  #take(app: string, kind: TokenKind, perSecond: number, count: number): Promise<void> | undefined {
    const tokens = this.#tokensOf(app, kind);
    tokens.perSecond = perSecond;
    const now = performance.now();
    if (now < tokens.expireAt && tokens.available >= count && tokens.waiters.length === 0) {
      tokens.available -= count;
      return undefined;
    }
    if (now < tokens.emptyUntil || tokens.waiters.length >= WAITING_MAX)
      throw new GusherError(ERROR_OF[kind]);
    return new Promise((resolve, reject) => {
      tokens.waiters.push({ count, resolve, reject });
      if (tokens.wanted > 0) return;
      tokens.wanted = count;
      // The requests of this turn ask together.
      queueMicrotask(() => this.#request(app, kind, tokens));
    });
  }

  #request(app: string, kind: TokenKind, tokens: Tokens): void {
    const { perSecond } = tokens;
    const available = performance.now() < tokens.expireAt ? tokens.available : 0;
    const needed = Math.max(1, (tokens.waiters[0]?.count ?? 0) - available);
    const sum = tokens.waiters.reduce((total, { count }) => total + count, 0);
    tokens.wanted = Math.max(needed, sum - available);
    this.#options.send({ type: 'rateRequest', app, kind, perSecond, needed, wanted: tokens.wanted });
  }

  #tokensOf(app: string, kind: TokenKind): Tokens {
    const key = keyOf(app, kind);
    const known = this.#tokens.get(key);
    if (known !== undefined) return known;
    const tokens: Tokens = { perSecond: 0, available: 0, expireAt: 0, emptyUntil: 0, wanted: 0, waiters: [] };
    this.#tokens.set(key, tokens);
    return tokens;
  }

  #bytesOutLimit(app: App | undefined): number | undefined {
    return app?.max_bytes_out_per_second ?? limitOf(this.#options.defaults.appBytesOutPerSecond);
  }

  /** Reports sent bytes, and forgets what has no effect any more. */
  readonly #tick = (): void => {
    const reports: { app: string; bytes: number; perSecond: number }[] = [];
    for (const usage of this.#options.takeSending()) {
      const perSecond = this.#bytesOutLimit(this.#options.remembered(usage.app));
      if (perSecond !== undefined) reports.push({ app: usage.app, bytes: usage.bytesOut, perSecond });
      usage.bytesOut = 0;
    }
    if (reports.length > 0) this.#options.send({ type: 'bytesOut', reports });
    const now = performance.now();
    for (const [app, until] of this.#blockedUntil) if (now >= until) this.#blockedUntil.delete(app);
    for (const [key, { expireAt, emptyUntil, waiters }] of this.#tokens) {
      if (waiters.length === 0 && now >= Math.max(expireAt, emptyUntil)) this.#tokens.delete(key);
    }
  };
}

function limitOf(setting: number): number | undefined {
  return setting === 0 ? undefined : setting;
}

/** An app key contains no line break. */
function keyOf(app: string, kind: RateKind): string {
  return `${kind}\n${app}`;
}

function rejectAll(waiters: Waiter[], code: ErrorCode): void {
  for (const waiter of waiters.splice(0)) waiter.reject(new GusherError(code));
}
