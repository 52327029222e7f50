import { ERRORS, type ErrorEntry } from '../errors/catalogue.ts';
import { countError, type Stats } from '../metrics/stats.ts';
import { isAppKey } from '../model/names.ts';
import type { RejectedAction } from '../tail/tail.ts';
import { CLOSED_TAP, type Recorder } from '../tail/tap.ts';
import type { Logger } from './log.ts';
import { LogThrottle, type ThrottledLevel } from './log-throttle.ts';

const INTERVAL_MS = 10_000;
const LINES_PER_KEY = 5;
/** Attack: clients that cause many different errors. Bounds the log lines. */
const LINES_MAX = 200;

/** Facts about a rejected client, without secrets: no URL, no token, no header. */
export interface ClientFacts {
  /** The key of the app that the client named. */
  readonly app?: string | undefined;
  /** The address of the socket's other end, which may be a proxy. */
  readonly address?: string | undefined;
  /** The id of the connection, if there was one. */
  readonly connection?: string | undefined;
  /** The protocol of the client: `gusher` or `pusher`. */
  readonly protocol?: string | undefined;
  readonly channel?: string | undefined;
}

/** Ordinary closes, at every restart and when clients disappear. */
const ORDINARY_CLOSES: ReadonlySet<ErrorEntry> = new Set([
  ERRORS.server_stopping,
  ERRORS.heartbeat_lost,
  ERRORS.inactive,
  ERRORS.token_expired,
]);
/** Statuses of wrong or missing credentials, which may be attempts to guess them. */
const UNAUTHORIZED: ReadonlySet<number | undefined> = new Set([401, 403]);
/** Errors without a known app. Attack: a client that varies the app name to get a new throttle key each time. */
const WITHOUT_APP: ReadonlySet<string> = new Set(['unknown_app', 'unknown_app_id', 'no_such_app', 'bad_app']);

/**
 * Logs and counts rejected and closed clients. Lines with the same event, code and app are throttled, and the number of
 * suppressed lines is logged.
 */
export class ClientLog {
  readonly #stats: Stats;
  readonly #tap: Recorder;
  readonly #throttle: LogThrottle;

  constructor(options: { log: Logger; stats: Stats; tap?: Recorder }) {
    this.#stats = options.stats;
    this.#tap = options.tap ?? CLOSED_TAP;
    this.#throttle = new LogThrottle({
      log: options.log,
      intervalMs: INTERVAL_MS,
      linesPerKey: LINES_PER_KEY,
      linesMax: LINES_MAX,
    });
  }

  /** Logs an error before the WebSocket connection opened. */
  connectRejected({ code }: ErrorEntry, facts: ClientFacts): void {
    countError(this.#stats, 'connect', code);
    this.#record('connect', code, facts);
    this.#write('info', { event: 'connect_rejected', code, ...facts }, 'connect rejected');
  }

  /** Logs a socket that was closed without a response, because too many sockets had sent no request. */
  connectDropped(facts: ClientFacts): void {
    this.#stats.socketsDropped += 1;
    this.#record('connect', 'too_many_sockets', facts);
    this.#write('info', { event: 'connect_dropped', code: 'too_many_sockets', ...facts }, 'socket dropped');
  }

  /** Logs a connection that the server closed. */
  clientClosed(error: ErrorEntry, closeCode: number, facts: ClientFacts): void {
    countError(this.#stats, 'close', error.code);
    const level = ORDINARY_CLOSES.has(ERRORS[error.code as keyof typeof ERRORS]) ? 'debug' : 'info';
    this.#write(level, { event: 'client_closed', code: error.code, closeCode, ...facts }, 'client closed');
  }

  /** Logs an error response of the HTTP API, on both ports. */
  requestRejected(
    { code, http }: ErrorEntry,
    facts: ClientFacts & { readonly method?: string | undefined },
  ): void {
    countError(this.#stats, 'request', code);
    this.#record('request', code, facts);
    const level = UNAUTHORIZED.has(http) ? 'info' : 'debug';
    this.#write(level, { event: 'request_rejected', code, ...facts }, 'request rejected');
  }

  /** Logs a rejected credential on an open connection. */
  authorizationRejected({ code }: ErrorEntry, facts: ClientFacts): void {
    this.#record('authorization', code, facts);
    this.#write('info', { event: 'authorization_rejected', code, ...facts }, 'authorization rejected');
  }

  /** Shows a rejected subscription to tails. It is no log line, because clients may try many channels. */
  subscriptionRejected(
    code: string,
    facts: () => ClientFacts & { readonly user?: string | undefined },
  ): void {
    if (this.#tap.isOpen) this.#record('subscribe', code, facts());
  }

  #record(action: RejectedAction, code: string, facts: ClientFacts): void {
    if (this.#tap.isOpen) this.#tap.record({ type: 'rejected', action, code, ...facts });
  }

  #write(
    level: ThrottledLevel,
    facts: ClientFacts & { readonly event: string; readonly code: string; readonly [fact: string]: unknown },
    message: string,
  ): void {
    const app = isAppKey(facts.app ?? '') ? facts.app : undefined;
    const key = WITHOUT_APP.has(facts.code) ? facts.code : `${facts.code} ${app ?? ''}`;
    this.#throttle.write(key, { level, facts: { ...facts, app }, message });
  }
}
