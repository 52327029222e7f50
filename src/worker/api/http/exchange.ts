import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorEntry } from '../../../shared/errors/catalogue.ts';
import { errorBody, errorHeaders, errorStatus } from '../../../shared/errors/http-error.ts';

/** The decoded parameters of a path. */
export type Params = Readonly<Record<string, string | undefined>>;

/** One request of the API and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly params: Params;
}

/** What a resource does with an exchange: answers it, or throws a `GusherError`. */
export type Handler = (exchange: Exchange) => Promise<void> | void;

/** Answers with JSON text. */
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

/** Answers with an error, told by `body`. */
export function sendError(response: ServerResponse, error: ErrorEntry, body = errorBody): void {
  if (response.headersSent || response.destroyed) return;
  for (const [name, value] of Object.entries(errorHeaders(error))) response.setHeader(name, value);
  sendJson(response, errorStatus(error), body(error));
}
