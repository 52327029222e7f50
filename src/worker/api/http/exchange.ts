import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorEntry } from '../../../shared/errors/catalogue.ts';
import { errorBody, errorHeaders, errorStatus } from '../../../shared/errors/http-error.ts';

/** The decoded parameters of a path. */
export type Params = Readonly<Record<string, string | undefined>>;

/** One request and its response (RFC 9110 §3.4). */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly params: Params;
}

/** Sends the response of a resource, or throws a `GusherError`. */
export type Handler = (exchange: Exchange) => Promise<void> | void;

/** Sends a response with JSON text. */
export function sendJson(response: ServerResponse, status: number, json: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(json),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(json);
}

/** Sends an error response; `body` encodes the error. */
export function sendError(response: ServerResponse, error: ErrorEntry, body = errorBody): void {
  if (response.headersSent || response.destroyed) return;
  for (const [name, value] of Object.entries(errorHeaders(error))) response.setHeader(name, value);
  sendJson(response, errorStatus(error), body(error));
}

const authorized = new WeakSet<IncomingMessage>();

/** Excludes a request from the rate of its connection: it carries the credential of a backend. */
export function markAuthorized(request: IncomingMessage): void {
  authorized.add(request);
}

/** Returns true if the request was marked as authorized. */
export function isAuthorized(request: IncomingMessage): boolean {
  return authorized.has(request);
}
