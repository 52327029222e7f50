import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../../../shared/errors/catalogue.ts';
import type { Stats } from '../../../shared/stats.ts';
import type { IdempotencyDesk } from '../../ipc/idempotency-client.ts';
import { readBody } from '../http/body.ts';
import { answer, type Handler, type Params } from '../http/exchange.ts';
import { queryTextOf } from '../http/pagination.ts';

/** Hands in what a body asks for, and the text of the query; answers the JSON text of the response. */
export type Publish = (params: Params, body: string, query: string) => Promise<string>;

const KEY = /^[\x20-\x7e]{1,255}$/;

/**
 * A route that publishes. With `Idempotency-Key` it does so once: for five minutes the same request under the
 * same key gets the first one's answer, whichever worker of this host it meets.
 */
export function publishing(
  parts: { idempotency: Pick<IdempotencyDesk, 'once'>; stats: Stats; bodyMaxBytes: number },
  publish: Publish,
): Handler {
  return async ({ request, response, params }) => {
    try {
      const key = keyOf(request);
      const body = await readBody(request, parts.bodyMaxBytes);
      const work = (): Promise<string> => publish(params, body, queryTextOf(request));
      const scoped = `${params.app}\n${key}`;
      const json = await (key === undefined
        ? work()
        : parts.idempotency.once(scoped, fingerprintOf(request, body), work));
      answer(response, 200, json);
    } catch (error) {
      parts.stats.publicationsRefused += 1;
      throw error;
    }
  };
}

function keyOf({ headers }: IncomingMessage): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !KEY.test(key)) throw new RefusalError('bad_idempotency_key');
  return key;
}

/** What makes two requests the same. */
function fingerprintOf({ method, url }: IncomingMessage, body: string): string {
  return createHash('sha256').update(`${method} ${url}\n${body}`).digest('base64url');
}
