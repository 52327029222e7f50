import type { IncomingMessage, ServerResponse } from 'node:http';
import findMyWay, { type HTTPMethod, type Instance } from 'find-my-way';
import { ERRORS, type ErrorCode, GusherError } from '../../../shared/errors/catalogue.ts';
import type { ErrorBody } from '../../../shared/errors/http-error.ts';
import type { RequestHead } from '../../../shared/http/request-head.ts';
import { pathOf, type RequestLimits, requestError, splitTarget } from '../../../shared/http/request-rules.ts';
import type { ClientLog } from '../../../shared/logging/client-log.ts';
import type { UnexpectedErrors } from '../../../shared/logging/unexpected-errors.ts';
import type { Stats } from '../../../shared/stats.ts';
import { ClientGoneError } from './body.ts';
import { type Handler, type Params, sendError } from './exchange.ts';

const PARAM_MAX_LENGTH = 2_048;
const METHODS: readonly HTTPMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Throws a `GusherError` unless the request may go to its route; it is asked before a body is read. */
export type AuthHook = (request: IncomingMessage, response: ServerResponse) => void;

interface Route {
  readonly handler: Handler;
  readonly authHook: AuthHook | undefined;
}

export interface RouterOptions {
  readonly unexpected: UnexpectedErrors;
  readonly clientLog: Pick<ClientLog, 'requestRefused'>;
  readonly limits: RequestLimits;
  /** The form that errors have at a path. */
  readonly errorBodyAt: (path: string) => ErrorBody;
  /** Says what is wrong with a path that has no route, where that is known. */
  readonly hint?: (path: string) => ErrorCode | undefined;
  readonly stats: Pick<Stats, 'requestsAborted'>;
}

/** How long what is still coming of a refused body is read, in ms, so that the error can be read as well. */
const LINGER_MS = 1_000;

/**
 * Brings requests to the resources of one port, and tells errors. Everything it answers itself is JSON, every
 * error is one of the catalogue.
 */
export class Router {
  readonly #options: RouterOptions;
  readonly #routes: Instance<never> = findMyWay({
    maxParamLength: PARAM_MAX_LENGTH,
    ignoreTrailingSlash: true,
  }) as Instance<never>;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** A route that reads, at a path in the syntax of find-my-way. */
  get(path: string, handler: Handler, authHook?: AuthHook): void {
    this.#routes.on(['GET', 'HEAD'], path, noHandler, { handler, authHook } satisfies Route);
  }

  /** Any other route. */
  on(method: HTTPMethod, path: string, handler: Handler, authHook?: AuthHook): void {
    this.#routes.on(method, path, noHandler, { handler, authHook } satisfies Route);
  }

  /** Whether some method is answered at a path. */
  has(path: string): boolean {
    return this.#methodsAt(path).length > 0;
  }

  /** Answers a request, whatever it is. Never throws. */
  readonly serve = (request: IncomingMessage, response: ServerResponse): void => {
    response.on('error', ignoreHangUp);
    response.once('close', () => {
      if (!response.writableFinished) this.#options.stats.requestsAborted += 1;
    });
    void this.#serve(request, response);
  };

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const problem = requestError(headOf(request), this.#options.limits);
    if (problem !== undefined) response.shouldKeepAlive = false;
    useOriginForm(request);
    const path = request.url ?? '/';
    const found = this.#find(request.method as HTTPMethod, path);
    const route = found?.store as Route | undefined;
    try {
      if (problem !== undefined) throw problem;
      if (found === undefined || route === undefined) throw this.#noRoute(path, response);
      route.authHook?.(request, response);
      if (request.headers.expect !== undefined) response.writeContinue();
      await route.handler({ request, response, params: found.params });
    } catch (error) {
      this.#note(error, request, found?.params);
      await this.#reject(error, request, response);
    }
  }

  #find(method: HTTPMethod, path: string) {
    try {
      return this.#routes.find(method, path) ?? undefined;
    } catch {
      // A path that cannot be decoded leads nowhere.
      return undefined;
    }
  }

  /** Nothing answers there; or something does, but not this method (RFC 9110 §15.5.6 wants it named). */
  #noRoute(path: string, response: ServerResponse): GusherError {
    const allowed = this.#methodsAt(path);
    if (allowed.length === 0) {
      if (!isDecodable(path)) return new GusherError('bad_request');
      return new GusherError(this.#options.hint?.(pathOf(path)) ?? 'not_found');
    }
    response.setHeader('Allow', allowed.join(', '));
    return new GusherError('method_not_allowed');
  }

  #methodsAt(path: string): HTTPMethod[] {
    return METHODS.filter((method) => this.#find(method, path) !== undefined);
  }

  /** Never the path: parts of it may be secret. */
  #note(error: unknown, { method, socket }: IncomingMessage, params: Params | undefined): void {
    if (!(error instanceof GusherError)) return;
    const app = params?.app ?? params?.id;
    this.#options.clientLog.requestRefused(error.entry, { app, address: socket.remoteAddress, method });
  }

  async #reject(error: unknown, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (error instanceof ClientGoneError || response.destroyed) return;
    if (!(error instanceof GusherError)) {
      this.#options.unexpected.report(error, 'request', { method: request.method });
    }
    if (response.headersSent) {
      // Half an answer has no end: the client is not to take it for the whole.
      response.destroy();
      return;
    }
    const errorEntry = error instanceof GusherError ? error.entry : ERRORS.internal;
    if (!request.complete) await drainRequest(request);
    // After a malformed request, or in the middle of one, the next one cannot be found.
    if (!request.complete || errorEntry === ERRORS.bad_request) response.setHeader('Connection', 'close');
    sendError(response, errorEntry, this.#options.errorBodyAt(pathOf(request.url ?? '')));
  }
}

/** What the rules for requests look at. */
export function headOf({ method = '', url = '', httpVersion, rawHeaders }: IncomingMessage): RequestHead {
  return { method, target: url, version: httpVersion, fields: rawHeaders };
}

/** RFC 9112 §3.2.2: the authority of an absolute target counts instead of the Host field. */
export function useOriginForm(request: IncomingMessage): void {
  const { target, authority } = splitTarget(request.url ?? '/');
  if (authority === undefined) return;
  request.url = target;
  request.headers.host = authority;
}

/**
 * What is left of a body that is not wanted is read, for a moment, and thrown away: a socket that is closed with
 * bytes unread is reset, which destroys the answer too. Who waits to be told to go on sends nothing.
 */
async function drainRequest(request: IncomingMessage): Promise<void> {
  request.resume();
  if (request.headers.expect !== undefined) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, LINGER_MS);
    request.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    request.once('end', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Whether the percent-encoding of a path is UTF-8 (RFC 3986 §2.5). */
function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path.split('?', 1)[0] ?? '');
    return true;
  } catch {
    return false;
  }
}

/** Routes are found, not called, by find-my-way. */
function noHandler(): void {}

/** A client that is gone is told by the request; the answer has nobody to go to. */
function ignoreHangUp(): void {}
