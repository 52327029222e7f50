import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { App } from '../../../shared/apps/app.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import { readBytes } from '../http/body.ts';
import { type Handler, type Params, sendJson } from '../http/exchange.ts';
import { type Query, verifyBodyMd5, verifySignedQuery } from './signature.ts';

/** A request that an app has signed. */
export interface SignedExchange {
  readonly app: App;
  readonly params: Params;
  readonly query: Query;
  /** The bytes that were signed; not looked at yet. */
  readonly body: Buffer;
}

/** What a resource of the Pusher HTTP API does: answers with JSON text, or throws a `GusherError`. */
export type SignedHandler = (exchange: SignedExchange) => Promise<string> | string;

export interface SignedRouteDependencies {
  readonly apps: { findById(id: string): Promise<App | undefined> };
  readonly bodyMaxBytes: number;
  readonly pathPrefix: string;
}

/**
 * A route of the Pusher HTTP API: known app, signature, enabled app, body and its MD5 are checked in this order,
 * and nobody who has not signed makes this server read a body. `status` is that of a request that succeeds.
 */
export function signed(
  dependencies: SignedRouteDependencies,
  handler: SignedHandler,
  status: number,
): Handler {
  return async ({ request, response, params }) => {
    const { app, query } = await verify(dependencies, request, params);
    const body = await readBytes(request, dependencies.bodyMaxBytes);
    verifyBodyMd5(query, body);
    sendJson(response, status, await handler({ app, params, query, body }));
  };
}

/** The members of a body that is one JSON object. Refuses anything else with `bad_body`. */
export function jsonOf(body: Buffer): Readonly<Record<string, unknown>> {
  const value = isUtf8(body) ? parseJson(body.toString()) : undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new GusherError('bad_body');
  return value as Record<string, unknown>;
}

async function verify(
  { apps, pathPrefix }: SignedRouteDependencies,
  request: IncomingMessage,
  { id = '' }: Params,
): Promise<{ app: App; query: Query }> {
  const app = await apps.findById(id);
  if (app?.secret === undefined) throw new GusherError('unknown_app_id');
  const { method = '', url: target = '' } = request;
  const credentials = { key: app.key, secret: app.secret };
  const query = verifySignedQuery({ method, target, pathPrefix, nowMs: Date.now() }, credentials);
  if (!app.enabled) throw new GusherError('app_disabled');
  return { app, query };
}
