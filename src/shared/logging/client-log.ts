import { ERRORS, type ErrorEntry } from '../errors/catalogue.ts';
import type { Logger } from '../log.ts';
import { isAppKey } from '../model/names.ts';
import type { Stats } from '../stats.ts';
import { LogThrottle, type ThrottledLevel } from './log-throttle.ts';

/** Errors of a client address that exceeds its limits. */
const ADDRESS_LIMITS: ReadonlySet<string> = new Set(['too_many_connects', 'too_many_connections']);

const INTERVAL_MS = 10_000;
const LINES_PER_KEY = 5;
/** Attack: strangers that get refused in many ways at once; what they cost the disk is bounded. */
const LINES_MAX = 200;

/** What is known of a client when it is refused. None of it is a secret: no URL, no token, no header. */
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

/** Closes of every restart and of clients that vanish: too many to be news. */
const ORDINARY_CLOSES: ReadonlySet<ErrorEntry> = new Set([
  ERRORS.server_stopping,
  ERRORS.heartbeat_lost,
  ERRORS.inactive,
  ERRORS.token_expired,
]);
/** Statuses by which a request lacks authority: somebody's credentials are wrong, or somebody tries. */
const UNAUTHORIZED: ReadonlySet<number | undefined> = new Set([401, 403]);
/** Clients choose the app name that they send; where it names none, it must not choose the throttle's key. */
const WITHOUT_APP: ReadonlySet<string> = new Set(['unknown_app', 'unknown_app_id', 'no_such_app', 'bad_app']);

/**
 * Logs each client that is refused or closed, and counts it. Lines of the same event, code and app are throttled, and
 * the number left out is logged.
 */
export class ClientLog {
  readonly #stats: Stats;
  readonly #throttle: LogThrottle;

  constructor(options: { log: Logger; stats: Stats }) {
    this.#stats = options.stats;
    this.#throttle = new LogThrottle({
      log: options.log,
      intervalMs: INTERVAL_MS,
      linesPerKey: LINES_PER_KEY,
      linesMax: LINES_MAX,
    });
  }

  /** A connect was refused before it became a connection. */
  connectRefused({ code }: ErrorEntry, facts: ClientFacts): void {
    this.#stats.connectionsRefused += 1;
    if (ADDRESS_LIMITS.has(code)) this.#stats.connectionsAddressLimited += 1;
    this.#write('info', { event: 'connect_refused', code, ...facts }, 'connect refused');
  }

  /** A socket was dropped without an answer, because too many sockets had not sent a request. */
  connectDropped(facts: ClientFacts): void {
    this.#stats.connectionsDropped += 1;
    this.#write('info', { event: 'connect_dropped', code: 'too_many_sockets', ...facts }, 'socket dropped');
  }

  /** The server ended a connection. */
  clientClosed(error: ErrorEntry, closeCode: number, facts: ClientFacts): void {
    this.#stats.connectionsClosed += 1;
    const level = ORDINARY_CLOSES.has(ERRORS[error.code as keyof typeof ERRORS]) ? 'debug' : 'info';
    this.#write(level, { event: 'client_closed', code: error.code, closeCode, ...facts }, 'client closed');
  }

  /** A request to the HTTP API, of either port, was refused. */
  requestRefused(
    { code, http }: ErrorEntry,
    facts: ClientFacts & { readonly method?: string | undefined },
  ): void {
    this.#stats.requestsRefused += 1;
    const level = UNAUTHORIZED.has(http) ? 'info' : 'debug';
    this.#write(level, { event: 'request_refused', code, ...facts }, 'request refused');
  }

  /** A client did not get what it asked for on its connection, because its credential for it was refused. */
  authorizationRefused({ code }: ErrorEntry, facts: ClientFacts): void {
    this.#stats.authorizationsRefused += 1;
    this.#write('info', { event: 'authorization_refused', code, ...facts }, 'authorization refused');
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
