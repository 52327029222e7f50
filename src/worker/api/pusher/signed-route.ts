import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { App } from '../../../shared/apps/app.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { isObject } from '../../../shared/json/is-object.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import type { PublishSpan, Tracer } from '../../tracing/tracer.ts';
import { readBytes } from '../http/body.ts';
import { type Handler, markAuthorized, type Params, sendJson } from '../http/exchange.ts';
import { endSpan } from '../publish/traced-request.ts';
import { type Query, verifyBodyMd5, verifySignedQuery } from './signature.ts';

/** A request with a valid signature of an app. */
export interface SignedExchange {
  readonly app: App;
  readonly params: Params;
  readonly query: Query;
  /** The signed bytes, not parsed. */
  readonly body: Buffer;
  /** Set for a traced request. */
  readonly span?: PublishSpan | undefined;
}

/** Returns the JSON text of a response, or throws a `GusherError`. */
export type SignedHandler = (exchange: SignedExchange) => Promise<string> | string;

export interface SignedRouteDependencies {
  readonly apps: { findById(id: string): Promise<App | undefined> };
  readonly bodyMaxBytes: number;
  readonly pathPrefix: string;
  /** Traces the requests, if it is set. */
  readonly tracer?: Pick<Tracer, 'startPublish'> | undefined;
}

/**
 * Returns the handler of a route of the Pusher HTTP API. It checks, in this order: the app, the signature, whether the app
 * is enabled, the body, and its MD5. An unsigned request never makes this server read a body. `status` is the status of
 * a successful request.
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
    const span = dependencies.tracer?.startPublish(request.headers, {
      app: app.key,
      channel: params.channel,
    });
    const answer = async (): Promise<void> =>
      sendJson(response, status, await handler({ app, params, query, body, span }));
    await (span === undefined ? answer() : endSpan(span, status, answer()));
  };
}

/** Parses a body that is one JSON object. Throws `bad_body` for any other body. */
export function parseObject(body: Buffer): Readonly<Record<string, unknown>> {
  const value = isUtf8(body) ? parseJson(body.toString()) : undefined;
  if (!isObject(value)) throw new GusherError('bad_body');
  return value;
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
  markAuthorized(request);
  if (!app.enabled) throw new GusherError('app_disabled');
  return { app, query };
}
