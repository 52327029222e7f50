import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import type { Stats } from '../../../shared/stats.ts';
import type { IdempotencyClient } from '../../ipc/idempotency-client.ts';
import { readBody } from '../http/body.ts';
import { type Handler, type Params, sendJson } from '../http/exchange.ts';
import { queryTextOf } from '../http/pagination.ts';

/**
 * Hands in what a body asks for, and the text of the query; answers the JSON text of the response. What it publishes gets
 * `id`, where the request has an Idempotency-Key.
 */
export type PublishHandler = (params: Params, body: string, query: string, id?: string) => Promise<string>;

/** 132 bits: two requests never have the same. */
const PUBLICATION_ID_LENGTH = 22;

const KEY = /^[\x20-\x7e]{1,255}$/;

/**
 * A route that publishes. With `Idempotency-Key` it does so once: for five minutes the same request under the
 * same key gets the first one's answer, whichever worker of this host it meets. If the outcome of the first one is
 * unknown, the same request is carried out again with the same publication ids, on any host.
 */
export function publishRoute(
  dependencies: { idempotency: Pick<IdempotencyClient, 'once'>; stats: Stats; bodyMaxBytes: number },
  publish: PublishHandler,
): Handler {
  return async ({ request, response, params }) => {
    try {
      const key = keyOf(request);
      const body = await readBody(request, dependencies.bodyMaxBytes);
      const query = queryTextOf(request);
      const scoped = `${params.app}\n${key}`;
      const fingerprint = key === undefined ? '' : fingerprintOf(request, body);
      const id = hash(`${scoped}\n${fingerprint}`).slice(0, PUBLICATION_ID_LENGTH);
      const json = await (key === undefined
        ? publish(params, body, query)
        : dependencies.idempotency.once(scoped, fingerprint, () => publish(params, body, query, id)));
      sendJson(response, 200, json);
    } catch (error) {
      dependencies.stats.publicationsRefused += 1;
      throw error;
    }
  };
}

function keyOf({ headers }: IncomingMessage): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !KEY.test(key)) throw new GusherError('bad_idempotency_key');
  return key;
}

/** What makes two requests the same. */
function fingerprintOf({ method, url }: IncomingMessage, body: string): string {
  return hash(`${method} ${url}\n${body}`);
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
