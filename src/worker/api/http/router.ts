import type { IncomingMessage, ServerResponse } from 'node:http';
import findMyWay, { type HTTPMethod, type Instance } from 'find-my-way';
import { ERRORS, type ErrorCode, GusherError } from '../../../shared/errors/catalogue.ts';
import type { ErrorBody } from '../../../shared/errors/http-error.ts';
import type { RequestHead } from '../../../shared/http/request-head.ts';
import { pathOf, type RequestLimits, requestError, splitTarget } from '../../../shared/http/request-rules.ts';
import type { ClientLog } from '../../../shared/logging/client-log.ts';
import type { UnexpectedErrors } from '../../../shared/logging/unexpected-errors.ts';
import { count, countError, type Stats } from '../../../shared/metrics/stats.ts';
import { percentDecode } from '../../../shared/net/percent-encoding.ts';
import { ClientGoneError } from './body.ts';
import { type Handler, type Params, sendError } from './exchange.ts';

const PARAM_MAX_LENGTH = 2_048;
const METHODS: readonly HTTPMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Authorizes a request before its body is read, or throws a `GusherError`. */
export type AuthHook = (request: IncomingMessage, response: ServerResponse) => void;

interface Route {
  readonly handler: Handler;
  readonly authHook: AuthHook | undefined;
}

export interface RouterOptions {
  readonly unexpected: UnexpectedErrors;
  readonly clientLog: Pick<ClientLog, 'requestRejected'>;
  readonly limits: RequestLimits;
  /** Returns the encoder of errors for a path. */
  readonly errorBodyAt: (path: string) => ErrorBody;
  /** Returns a more exact error for a path without a route, if one is known. */
  readonly hint?: (path: string) => ErrorCode | undefined;
  readonly stats: Pick<Stats, 'errors' | 'requestsAborted' | 'responses'>;
}

/** Time for which the rest of a rejected body is read, so that the client can read the error. */
const LINGER_MS = 1_000;

/**
 * Routes the requests of one port to their handlers and sends errors. Every error is JSON and comes from the catalogue.
 */
export class Router {
  readonly #options: RouterOptions;
  readonly #routes: Instance<never> = findMyWay({
    maxParamLength: PARAM_MAX_LENGTH,
    ignoreTrailingSlash: true,
  }) as Instance<never>;

  /** The paths of all methods: one look-up shows that a path has no route. */
  readonly #paths: Instance<never> = findMyWay({
    maxParamLength: PARAM_MAX_LENGTH,
    ignoreTrailingSlash: true,
  }) as Instance<never>;
  readonly #knownPaths = new Set<string>();

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Registers a route for GET and HEAD. The path has the syntax of find-my-way. */
  get(path: string, handler: Handler, authHook?: AuthHook): void {
    this.#addPath(path);
    this.#routes.on(['GET', 'HEAD'], path, noHandler, { handler, authHook } satisfies Route);
  }

  /** Registers a route for another method. */
  on(method: HTTPMethod, path: string, handler: Handler, authHook?: AuthHook): void {
    this.#addPath(path);
    this.#routes.on(method, path, noHandler, { handler, authHook } satisfies Route);
  }

  /** Returns true if a path has a route for any method. */
  has(path: string): boolean {
    return this.#methodsAt(path).length > 0;
  }

  /** Sends a response to any request, or `error` to a request that is rejected already. Never throws. */
  readonly serve = (request: IncomingMessage, response: ServerResponse, error?: GusherError): void => {
    response.on('error', ignoreDisconnect);
    response.once('close', () => {
      const { stats } = this.#options;
      if (response.writableFinished) count(stats.responses, String(response.statusCode));
      else stats.requestsAborted += 1;
    });
    void this.#serve(request, response, error);
  };

  async #serve(request: IncomingMessage, response: ServerResponse, error?: GusherError): Promise<void> {
    const problem = error ?? requestError(headOf(request), this.#options.limits);
    if (problem !== undefined) response.shouldKeepAlive = false;
    useOriginForm(request);
    const path = request.url ?? '/';
    const found = error === undefined ? this.#find(request.method as HTTPMethod, path) : undefined;
    const route = found?.store as Route | undefined;
    try {
      if (problem !== undefined) throw problem;
      if (found === undefined || route === undefined) throw this.#noRoute(path, response);
      route.authHook?.(request, response);
      if (request.headers.expect !== undefined) response.writeContinue();
      await route.handler({ request, response, params: found.params });
    } catch (thrown) {
      this.#logError(thrown, request, found?.params);
      await this.#reject(thrown, request, response);
    }
  }

  #addPath(path: string): void {
    if (this.#knownPaths.has(path)) return;
    this.#knownPaths.add(path);
    this.#paths.on('GET', path, noHandler);
  }

  #find(method: HTTPMethod, path: string, routes = this.#routes) {
    try {
      return routes.find(method, path) ?? undefined;
    } catch {
      // The percent-encoding of the path is malformed.
      return undefined;
    }
  }

  /** Returns the error for a path without a route, or without this method (RFC 9110 §15.5.6 requires `Allow`). */
  #noRoute(path: string, response: ServerResponse): GusherError {
    const allowed = this.#methodsAt(path);
    if (allowed.length === 0) {
      // RFC 3986 §2.5: percent-encoding must be UTF-8.
      if (percentDecode(path.split('?', 1)[0] ?? '') === undefined) return new GusherError('bad_request');
      return new GusherError(this.#options.hint?.(pathOf(path)) ?? 'not_found');
    }
    response.setHeader('Allow', allowed.join(', '));
    return new GusherError('method_not_allowed');
  }

  /** Attack: floods of long paths without a route, each of which would need a look-up per method. */
  #methodsAt(path: string): HTTPMethod[] {
    if (this.#find('GET', path, this.#paths) === undefined) return [];
    return METHODS.filter((method) => this.#find(method, path) !== undefined);
  }

  /** Logs an error without the path, parts of which may be secret. */
  #logError(error: unknown, { method, socket }: IncomingMessage, params: Params | undefined): void {
    if (!(error instanceof GusherError)) return;
    const app = params?.app ?? params?.id;
    this.#options.clientLog.requestRejected(error.entry, { app, address: socket.remoteAddress, method });
  }

  async #reject(error: unknown, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (error instanceof ClientGoneError || response.destroyed) return;
    if (!(error instanceof GusherError)) {
      this.#options.unexpected.report(error, 'request', { method: request.method });
      countError(this.#options.stats, 'request', ERRORS.internal.code);
    }
    if (response.headersSent) {
      // The response is incomplete, and the client must be able to detect that.
      response.destroy();
      return;
    }
    const errorEntry = error instanceof GusherError ? error.entry : ERRORS.internal;
    if (!request.complete) await drainRequest(request);
    // After a malformed or incomplete request, the start of the next one is unknown.
    if (!request.complete || errorEntry === ERRORS.bad_request) response.setHeader('Connection', 'close');
    sendError(response, errorEntry, this.#options.errorBodyAt(pathOf(request.url ?? '')));
  }
}

/** Returns the parts of a request that the rules for requests check. */
export function headOf({ method = '', url = '', httpVersion, rawHeaders }: IncomingMessage): RequestHead {
  return { method, target: url, version: httpVersion, fields: rawHeaders };
}

/** Replaces the Host field by the authority of an absolute target (RFC 9112 §3.2.2). */
export function useOriginForm(request: IncomingMessage): void {
  const { target, authority } = splitTarget(request.url ?? '/');
  if (authority === undefined) return;
  request.url = target;
  request.headers.host = authority;
}

/**
 * Reads and discards the rest of a body for a short time: the system resets a socket that closes with unread bytes, which
 * destroys the response. A client that waits for `100 Continue` sends no body.
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

/** find-my-way requires a handler; the router calls the one in the store. */
function noHandler(): void {}

function ignoreDisconnect(): void {}
