import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import type { IdempotencyKeys } from '../../ipc/idempotency-client.ts';
import type { PublishSpan, Tracer } from '../../tracing/tracer.ts';
import { readBody } from '../http/body.ts';
import { type Handler, type Params, sendJson } from '../http/exchange.ts';
import { queryTextOf } from '../http/pagination.ts';
import { endSpan } from './traced-request.ts';

/** What the publications of one request have in common. */
export interface PublishOrigin {
  /** Set for a request with an Idempotency-Key. */
  readonly id?: string;
  /** Set for a traced request. */
  readonly span?: PublishSpan;
}

/** Publishes what a request asks for, and returns the JSON text of the response. */
export type PublishHandler = (
  params: Params,
  body: string,
  query: string,
  origin: PublishOrigin,
) => Promise<string>;

const OK = 200;
const UNTRACED: PublishOrigin = {};

/** 132 bits: no two requests share an id. */
const PUBLICATION_ID_LENGTH = 22;

const KEY = /^[\x20-\x7e]{1,255}$/;

/**
 * Returns the handler of a route that publishes. With `Idempotency-Key` a request publishes once: for five minutes, every
 * worker of this host repeats the first response to the same request under the same key. If the outcome of the first
 * request is unknown, the repeat publishes again under the same publication ids, which hosts that have them drop.
 */
export function publishRoute(
  dependencies: { idempotency: IdempotencyKeys; bodyMaxBytes: number; tracer: Tracer | undefined },
  publish: PublishHandler,
): Handler {
  const { idempotency, bodyMaxBytes, tracer } = dependencies;
  return async ({ request, response, params }) => {
    const key = keyOf(request);
    const body = await readBody(request, bodyMaxBytes);
    const query = queryTextOf(request);
    const span = tracer?.startPublish(request.headers, params);
    const publishOnce = async (): Promise<string> => {
      const common = span === undefined ? UNTRACED : { span };
      if (key === undefined) return publish(params, body, query, common);
      const scopedKey = `${params.app}\n${key}`;
      const fingerprint = fingerprintOf(request, body);
      const id = hash(`${scopedKey}\n${fingerprint}`).slice(0, PUBLICATION_ID_LENGTH);
      return idempotency.once(scopedKey, fingerprint, () => publish(params, body, query, { ...common, id }));
    };
    const answer = async (): Promise<void> => sendJson(response, OK, await publishOnce());
    await (span === undefined ? answer() : endSpan(span, OK, answer()));
  };
}

function keyOf({ headers }: IncomingMessage): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !KEY.test(key)) throw new GusherError('bad_idempotency_key');
  return key;
}

/** Returns the same text for equal requests. */
function fingerprintOf({ method, url }: IncomingMessage, body: string): string {
  return hash(`${method} ${url}\n${body}`);
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
