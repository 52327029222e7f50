import type { IncomingMessage, ServerResponse } from 'node:http';
import findMyWay, { type HTTPMethod, type Instance } from 'find-my-way';
import { REFUSALS, type Refusal, RefusalError } from '../../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../../shared/logging/unexpected-errors.ts';
import { ClientGoneError } from './body.ts';
import { type Handler, refuse } from './exchange.ts';

const PARAM_MAX_LENGTH = 2_048;
const METHODS: readonly HTTPMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Throws a `RefusalError` unless the request may go to its route; it is asked before a body is read. */
export type Permit = (request: IncomingMessage, response: ServerResponse) => void;

/** The JSON body by which a refusal is told on a route, where it is not the usual one. */
export type RefusalBody = (refusal: Refusal) => string;

interface Route {
  readonly handler: Handler;
  readonly permit: Permit | undefined;
  readonly refusalBody: RefusalBody | undefined;
}

/** How long what is still coming of a refused body is read, in ms, so that the refusal can be read as well. */
const LINGER_MS = 1_000;

/**
 * Brings requests to the resources of one port, and tells refusals. Everything it answers itself is JSON, every
 * refusal is one of the catalogue.
 */
export class Router {
  readonly #unexpected: UnexpectedErrors;
  readonly #routes: Instance<never> = findMyWay({
    maxParamLength: PARAM_MAX_LENGTH,
    ignoreTrailingSlash: true,
  }) as Instance<never>;

  #unanswered = 0;
  #idle: () => void = () => undefined;

  constructor(options: { unexpected: UnexpectedErrors }) {
    this.#unexpected = options.unexpected;
  }

  /** A route that reads, at a path in the syntax of find-my-way. */
  get(path: string, handler: Handler, permit?: Permit, refusalBody?: RefusalBody): void {
    this.#routes.on(['GET', 'HEAD'], path, noHandler, { handler, permit, refusalBody } satisfies Route);
  }

  /** Any other route. */
  on(method: HTTPMethod, path: string, handler: Handler, permit?: Permit, refusalBody?: RefusalBody): void {
    this.#routes.on(method, path, noHandler, { handler, permit, refusalBody } satisfies Route);
  }

  /** Answers a request, whatever it is. Never throws. */
  readonly serve = (request: IncomingMessage, response: ServerResponse): void => {
    response.on('error', ignoreHangUp);
    this.#unanswered += 1;
    response.once('close', this.#onClose);
    void this.#serve(request, response);
  };

  /** Resolves when every request that came is answered, or the deadline has passed. */
  async finish(deadlineMs: number): Promise<void> {
    if (this.#unanswered === 0) return;
    const deadline = setTimeout(() => this.#idle(), Math.max(0, deadlineMs));
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    clearTimeout(deadline);
  }

  readonly #onClose = (): void => {
    this.#unanswered -= 1;
    if (this.#unanswered === 0) this.#idle();
  };

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    const found = this.#find(request.method as HTTPMethod, path);
    const route = found?.store as Route | undefined;
    try {
      // RFC 9112 §3.2.
      if (request.httpVersion === '1.1' && request.headers.host === undefined) {
        throw new RefusalError('bad_request');
      }
      if (found === undefined || route === undefined) throw this.#noRoute(path, response);
      route.permit?.(request, response);
      if (request.headers.expect !== undefined) response.writeContinue();
      await route.handler({ request, response, params: found.params });
    } catch (error) {
      await this.#refuse(error, request, response, route?.refusalBody);
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
  #noRoute(path: string, response: ServerResponse): RefusalError {
    const allowed = METHODS.filter((method) => this.#find(method, path) !== undefined);
    if (allowed.length === 0) return new RefusalError(isDecodable(path) ? 'not_found' : 'bad_request');
    response.setHeader('Allow', allowed.join(', '));
    return new RefusalError('method_not_allowed');
  }

  async #refuse(
    error: unknown,
    request: IncomingMessage,
    response: ServerResponse,
    body: RefusalBody | undefined,
  ): Promise<void> {
    if (error instanceof ClientGoneError || response.destroyed) return;
    if (!(error instanceof RefusalError)) {
      this.#unexpected.report(error, 'request', { method: request.method });
    }
    if (response.headersSent) {
      // Half an answer has no end: the client is not to take it for the whole.
      response.destroy();
      return;
    }
    if (!request.complete) {
      response.setHeader('Connection', 'close');
      await readAway(request);
    }
    refuse(response, error instanceof RefusalError ? error.refusal : REFUSALS.internal, body);
  }
}

/**
 * What is left of a body that is not wanted is read, for a moment, and thrown away: a socket that is closed with
 * bytes unread is reset, which destroys the answer too. Who waits to be told to go on sends nothing.
 */
async function readAway(request: IncomingMessage): Promise<void> {
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
