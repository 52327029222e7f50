import * as v from 'valibot';
import type { App } from '../../../../shared/apps/app.ts';
import { isObject } from '../../../../shared/json/is-object.ts';
import { parseJson } from '../../../../shared/json/parse-json.ts';
import { grantList } from '../../../../shared/model/grants.ts';
import { HttpClient, HttpRequestError } from '../../../../shared/net/http-client.ts';
import { type Finding, ok, problem, warning } from '../finding.ts';

const TIMEOUT_MS = 5_000;
const RESPONSE_MAX_BYTES = 256 * 1024;
const APPS_MAX = 50;
const IN_FLIGHT_MAX = 8;
/** A credential that no backend should accept. */
const PROBE_CREDENTIAL = 'gusher-doctor';
/** Statuses by which an auth webhook answers it. */
const ANSWERS: ReadonlySet<number> = new Set([200, 400, 401, 402, 403, 409, 410, 422]);

/** The response of a backend, or the reason why there is none. */
type BackendResult = { readonly status: number; readonly body: string } | { readonly reason: string };

/** Calls the auth webhook and fetches the key set of each app. */
export async function checkBackends(apps: readonly App[]): Promise<Finding[]> {
  const client = new HttpClient({
    timeoutMs: TIMEOUT_MS,
    requestsMax: IN_FLIGHT_MAX,
    requestsPerAppMax: 2,
    responseMaxBytes: RESPONSE_MAX_BYTES,
    allowPrivate: true,
  });
  const checks = apps
    .slice(0, APPS_MAX)
    .flatMap(({ key, url, jwks_url: jwksUrl }) => [
      ...(url === undefined ? [] : [callWebhook(client, key, url)]),
      ...(jwksUrl === undefined ? [] : [fetchKeys(client, key, jwksUrl)]),
    ]);
  try {
    return await Promise.all(checks);
  } finally {
    client.close();
  }
}

async function callWebhook(client: HttpClient, app: string, url: string): Promise<Finding> {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const body = `auth=${PROBE_CREDENTIAL}`;
  return checkWebhook(app, await resultOf(client.send({ app, url, headers, body, isRepeatable: false })));
}

async function fetchKeys(client: HttpClient, app: string, url: string): Promise<Finding> {
  return checkKeySet(app, await resultOf(client.send({ app, url, isRepeatable: false })));
}

async function resultOf(response: ReturnType<HttpClient['send']>): Promise<BackendResult> {
  try {
    const { status, body } = await response;
    return { status, body: body.toString() };
  } catch (error) {
    if (!(error instanceof HttpRequestError)) throw error;
    return { reason: error.systemCode ?? error.reason };
  }
}

function checkWebhook(app: string, result: BackendResult): Finding {
  const check = `auth webhook of ${app}`;
  if ('reason' in result) {
    const fix = `Start the backend, or correct the URL: gusher apps add ${app} --url …`;
    return problem(check, `no response: ${result.reason}`, fix);
  }
  if (!ANSWERS.has(result.status)) {
    const fix = `Accept POST with the form field "auth", or correct the URL: gusher apps add ${app} --url …`;
    return problem(check, `it responds with ${result.status}, so every client is rejected`, fix);
  }
  return result.status === 200
    ? checkGrants(check, result.body)
    : ok(check, `it responds (${result.status})`);
}

/** The body must have what a worker requires of an accepted credential. An empty list rejects the credential. */
function checkGrants(check: string, body: string): Finding {
  const value = parseJson(body);
  const grants = isObject(value) ? (value.channels ?? value.channel) : undefined;
  if (!v.is(grantList, grants)) {
    const fix =
      'Respond with 403 to reject a credential, and to accept it with {"user_id":"…","channels":["…"]}.';
    return problem(
      check,
      'it responds with 200 without JSON that lists "channels", so no client connects',
      fix,
    );
  }
  if (grants.length === 0) return ok(check, 'it rejects a credential that does not exist');
  const fix = 'Check that the backend compares the credential.';
  return warning(check, 'it accepts a credential that does not exist', fix);
}

function checkKeySet(app: string, result: BackendResult): Finding {
  const check = `key set of ${app}`;
  const fix = `Correct the URL: gusher apps add ${app} --jwks-url …`;
  if ('reason' in result) return problem(check, `no response: ${result.reason}`, fix);
  const keys = parseJson(result.body);
  const list = isObject(keys) && Array.isArray(keys.keys) ? keys.keys : undefined;
  if (result.status !== 200 || list === undefined) {
    return problem(check, `it responds with ${result.status} and no key set (RFC 7517)`, fix);
  }
  if (list.length === 0) return problem(check, 'it has no key, so every token is rejected', fix);
  return ok(check, `${list.length} ${list.length === 1 ? 'key' : 'keys'}`);
}
