import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Refusal } from '../../../shared/errors/catalogue.ts';
import { refusalBody, refusalHeaders, refusalStatus } from '../../../shared/errors/http-error.ts';

/** The decoded parameters of a path. */
export type Params = Readonly<Record<string, string | undefined>>;

/** One request of the API and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly params: Params;
}

/** What a resource does with an exchange: answers it, or throws a `RefusalError`. */
export type Handler = (exchange: Exchange) => Promise<void> | void;

/** Answers with JSON text. */
export function answer(response: ServerResponse, status: number, json: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(json),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(json);
}

/** Answers with a refusal, told by `body`. */
export function refuse(response: ServerResponse, refusal: Refusal, body = refusalBody): void {
  if (response.headersSent || response.destroyed) return;
  for (const [name, value] of Object.entries(refusalHeaders(refusal))) response.setHeader(name, value);
  answer(response, refusalStatus(refusal), body(refusal));
}
