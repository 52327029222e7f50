import type { IncomingMessage } from 'node:http';
import * as v from 'valibot';
import type { AppRegistry } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import { parseQueryText } from '../../../shared/net/query-text.ts';
import { appKeyOf, type TokenVerifier } from '../../auth/token-verifier.ts';
import { readBody } from '../http/body.ts';
import { type Handler, sendJson } from '../http/exchange.ts';
import { queryOf } from '../http/pagination.ts';

/** A token has to fit into a request head afterwards. */
const BODY_MAX_BYTES = 32 * 1024;
/** How long a browser may remember the answer to a preflight, in s. */
const PREFLIGHT_FRESH_S = 86_400;

interface Dependencies {
  readonly apps: Pick<AppRegistry, 'find'>;
  readonly tokens: TokenVerifier;
}

const jwtBody = v.object({ jwt: v.string() });

/**
 * `POST /v1/auth` with `{"jwt"}` or the form field `jwt`, on the public port: verifies a token and answers it as
 * `{"token"}`, for `?token=`. It is the same one: nothing is stored, so any host takes it later, for as long as it is
 * valid. Pages of any origin may ask.
 */
export function exchangeToken({ apps, tokens }: Dependencies): Handler {
  return async ({ request, response }) => {
    response.setHeader('Access-Control-Allow-Origin', '*');
    const token = await readToken(request, 'jwt');
    await tokens.identify(await findAppOf(apps, token), token);
    sendJson(response, 200, JSON.stringify({ token }));
  };
}

/** What a browser asks before it lets a page of another origin post JSON (Fetch standard, CORS preflight). */
export const preflight: Handler = ({ response }) => {
  response.writeHead(204, {
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Methods': 'POST',
    'Access-Control-Allow-Headers': 'Content-Type',
    'Access-Control-Max-Age': PREFLIGHT_FRESH_S,
  });
  response.end();
};

/**
 * `POST /v1/auth/decode` with `{"jwt"}`, on the API port: what a token claims, once it is verified. In a form, or the
 * query, it is in `field`.
 */
export function decodeToken({ apps, tokens }: Dependencies, field = 'jwt'): Handler {
  return async ({ request, response }) => {
    const token = await readToken(request, field);
    sendJson(response, 200, JSON.stringify(await tokens.verify(await findAppOf(apps, token), token)));
  };
}

/** The app of a token that nobody has verified yet. Rejects with `unknown_app` or `app_disabled`. */
async function findAppOf(apps: Dependencies['apps'], token: string) {
  const app = await apps.find(appKeyOf(token));
  if (app === undefined) throw new GusherError('unknown_app');
  if (!app.enabled) throw new GusherError('app_disabled');
  return app;
}

/**
 * The token of a request. Whatever the content type says: curl calls JSON a form unless it is told otherwise. As Go
 * reads a form, the query stands in for what the body has not.
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
