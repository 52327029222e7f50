import * as v from 'valibot';
import {
  APP_FIELD_NAMES,
  type App,
  type AppChanges,
  appFieldsToSet,
  parseApp,
  REDACTED,
  redactSecrets,
} from '../../../shared/apps/app.ts';
import { type AppStore, findAppWithSameId } from '../../../shared/apps/app-store.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import type { Logger } from '../../../shared/log.ts';
import { isAppKey } from '../../../shared/model/names.ts';
import { readBody } from '../http/body.ts';
import { type Handler, type Params, sendJson } from '../http/exchange.ts';

const BODY_MAX_BYTES = 512 * 1024;

interface Dependencies {
  readonly store: AppStore;
  readonly log: Logger;
}

/** Fields to set; null takes one away. */
const changes = v.pipe(
  v.record(v.string(), v.unknown()),
  v.check((given) => Object.keys(given).every((name) => (APP_FIELD_NAMES as string[]).includes(name))),
);

/** `GET /v1/admin/apps`: every app that is registered, without its secrets. */
export function listRegistered({ store, log }: Dependencies): Handler {
  return async ({ response }) => {
    const apps = await reach(log, store.list());
    sendJson(response, 200, JSON.stringify(apps.map(redactSecrets)));
  };
}

/** `GET /v1/admin/apps/{app}`: one app, without its secrets. */
export function showRegistered({ store, log }: Dependencies): Handler {
  return async ({ response, params }) => {
    const app = await reach(log, store.load(keyIn(params)));
    if (app === undefined) throw new GusherError('no_such_app');
    show(response, 200, app);
  };
}

/** `PUT /v1/admin/apps/{app}`: registers an app (201), or replaces all fields of one that is there. */
export function putRegistered(dependencies: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const key = keyIn(params);
    const given = readChanges(await readBody(request, BODY_MAX_BYTES));
    const known = await reach(dependencies.log, dependencies.store.load(key));
    const none = Object.fromEntries(APP_FIELD_NAMES.map((name) => [name, null]));
    const app = await change(dependencies, key, known, { ...none, ...keepingSecret(given, known) });
    show(response, known === undefined ? 201 : 200, app);
  };
}

/** `PATCH /v1/admin/apps/{app}`: changes the given fields of an app; null takes one away. */
export function patchRegistered(dependencies: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const key = keyIn(params);
    const given = readChanges(await readBody(request, BODY_MAX_BYTES));
    const known = await reach(dependencies.log, dependencies.store.load(key));
    if (known === undefined) throw new GusherError('no_such_app');
    show(response, 200, await change(dependencies, key, known, keepingSecret(given, known)));
  };
}

/** `DELETE /v1/admin/apps/{app}`: 204. Nobody is let in to it any more; who is in stays. */
export function deleteRegistered({ store, log }: Dependencies): Handler {
  return async ({ response, params }) => {
    const key = keyIn(params);
    // What is no app is not ours to delete.
    const known = await reach(log, store.load(key));
    if (known === undefined || !(await reach(log, store.remove(key)))) throw new GusherError('no_such_app');
    response.writeHead(204).end();
  };
}

async function change(
  { store, log }: Dependencies,
  key: string,
  known: App | undefined,
  given: AppChanges,
): Promise<App> {
  const { key: _, ...before } = known ?? { key };
  const after = Object.entries({ ...before, ...given }).filter(([, value]) => value !== null);
  const app = parseApp(key, Object.fromEntries(after));
  if (app === undefined) throw new GusherError('app_without_auth_method');
  const sameId = await reach(log, findAppWithSameId(store, key, given.id));
  if (sameId !== undefined) throw new GusherError('app_id_taken');
  await reach(log, store.save(key, given));
  return app;
}

/** An app that was shown and comes back has its secret as it was shown: that one is left as it is. */
function keepingSecret(given: AppChanges, known: App | undefined): AppChanges {
  if (given.secret !== REDACTED || known?.secret === undefined) return given;
  return { ...given, secret: known.secret };
}

function readChanges(body: string): AppChanges {
  const json = parseJson(body);
  const parsed = v.safeParse(changes, json);
  // To the schema a list is a record without fields.
  if (!parsed.success || Array.isArray(json)) throw new GusherError('bad_app_fields');
  const given = Object.entries(parsed.output);
  const values = v.safeParse(appFieldsToSet, Object.fromEntries(given.filter(([, value]) => value !== null)));
  if (!values.success) throw new GusherError('bad_app_fields');
  return { ...Object.fromEntries(given.filter(([, value]) => value === null)), ...values.output };
}

function keyIn({ app = '' }: Params): string {
  if (!isAppKey(app)) throw new GusherError('bad_app');
  return app;
}

/** What fails at a store is for the log; it may name files and hosts. */
async function reach<T>(log: Logger, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    log.warn({ event: 'apps_unavailable', reason: (error as Error).message }, 'app store unavailable');
    throw new GusherError('apps_unavailable');
  }
}

function show(response: Parameters<typeof sendJson>[0], status: number, app: App): void {
  sendJson(response, status, JSON.stringify(redactSecrets(app)));
}
