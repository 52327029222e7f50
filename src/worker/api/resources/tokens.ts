import type { IncomingMessage } from 'node:http';
import * as v from 'valibot';
import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import { parseQueryText } from '../../../shared/net/query-text.ts';
import { appKeyOf, type TokenVerifier } from '../../auth/token-verifier.ts';
import { readBody } from '../http/body.ts';
import { type Handler, sendJson } from '../http/exchange.ts';
import { queryOf } from '../http/pagination.ts';

/** A client later sends the token in a request header. */
const BODY_MAX_BYTES = 32 * 1024;
/** Seconds for which a browser may cache the response to a preflight. */
const PREFLIGHT_MAX_AGE_S = 86_400;

interface Dependencies {
  readonly apps: AppFinder;
  readonly tokens: TokenVerifier;
}

const jwtBody = v.object({ jwt: v.string() });

/**
 * `POST /v1/auth` with `{"jwt"}` or the form field `jwt`, on the public port: verifies a token and returns it as
 * `{"token"}`, for `?token=`. It is the same token: nothing is stored, and any host accepts it until it expires. Pages of
 * any origin may send this request.
 */
export function exchangeToken({ apps, tokens }: Dependencies): Handler {
  return async ({ request, response }) => {
    response.setHeader('Access-Control-Allow-Origin', '*');
    const token = await readToken(request, 'jwt');
    await tokens.identify(await findAppOf(apps, token), token);
    sendJson(response, 200, JSON.stringify({ token }));
  };
}

/** Responds to the request that a browser sends before a page of another origin may post JSON (CORS preflight). */
export const preflight: Handler = ({ response }) => {
  response.writeHead(204, {
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Methods': 'POST',
    'Access-Control-Allow-Headers': 'Content-Type',
    'Access-Control-Max-Age': PREFLIGHT_MAX_AGE_S,
  });
  response.end();
};

/**
 * `POST /v1/auth/decode` with `{"jwt"}`, on the API port: verifies a token and returns its claims. In a form or in the
 * query, the token is in `field`.
 */
export function decodeToken({ apps, tokens }: Dependencies, field = 'jwt'): Handler {
  return async ({ request, response }) => {
    const token = await readToken(request, field);
    sendJson(response, 200, JSON.stringify(await tokens.verify(await findAppOf(apps, token), token)));
  };
}

/** Returns the app of an unverified token. Rejects with `unknown_app` or `app_disabled`. */
async function findAppOf(apps: Dependencies['apps'], token: string) {
  const app = await apps.find(appKeyOf(token));
  if (app === undefined) throw new GusherError('unknown_app');
  if (!app.enabled) throw new GusherError('app_disabled');
  return app;
}

/**
 * Returns the token of a request. Ignores the content type, because curl by default declares JSON as a form. As in Go, the
 * query supplies a field that the form lacks.
 */
async function readToken(request: IncomingMessage, field: string): Promise<string> {
  const body = await readBody(request, BODY_MAX_BYTES);
  if (body.trimStart().startsWith('{')) return jwtIn(body);
  const form = parseQueryText(body);
  const token = form?.get(field) ?? queryOf(request).get(field);
  if (form === undefined || token === null) throw new GusherError('bad_body');
  return token;
}

function jwtIn(body: string): string {
  const parsed = v.safeParse(jwtBody, parseJson(body));
  if (!parsed.success) throw new GusherError('bad_body');
  return parsed.output.jwt;
}
