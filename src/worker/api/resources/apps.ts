import * as v from 'valibot';
import {
  APP_FIELD_NAMES,
  type App,
  type AppChanges,
  appFieldsToSet,
  invalidFieldsIn,
  parseApp,
  REDACTED,
  redactSecrets,
} from '../../../shared/apps/app.ts';
import { type AppStore, findAppWithSameId } from '../../../shared/apps/app-store.ts';
import { GusherError, quoted } from '../../../shared/errors/catalogue.ts';
import { isObject } from '../../../shared/json/is-object.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import type { Logger } from '../../../shared/logging/log.ts';
import { isAppKey } from '../../../shared/model/names.ts';
import { readBody } from '../http/body.ts';
import { type Handler, type Params, sendJson } from '../http/exchange.ts';

const BODY_MAX_BYTES = 512 * 1024;

interface Dependencies {
  readonly store: AppStore;
  readonly log: Logger;
}

/** Fields to set; null removes a field. Not `v.record`, which ignores the key `constructor` and others. */
const changes = v.pipe(
  v.custom<Record<string, unknown>>(isObject),
  v.check((given) => Object.keys(given).every(isFieldName)),
);

/** `GET /v1/admin/apps`: returns all registered apps without their secrets. */
export function listRegistered({ store, log }: Dependencies): Handler {
  return async ({ response }) => {
    const apps = await accessStore(log, store.list());
    sendJson(response, 200, JSON.stringify(apps.map(redactSecrets)));
  };
}

/** `GET /v1/admin/apps/{app}`: returns one app without its secrets. */
export function showRegistered({ store, log }: Dependencies): Handler {
  return async ({ response, params }) => {
    const app = await accessStore(log, store.load(appKeyOf(params)));
    if (app === undefined) throw new GusherError('no_such_app');
    sendApp(response, 200, app);
  };
}

/** `PUT /v1/admin/apps/{app}`: registers an app (201), or replaces all fields of an existing one (200). */
export function putRegistered(dependencies: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const key = appKeyOf(params);
    const given = parseChanges(await readBody(request, BODY_MAX_BYTES));
    const known = await accessStore(dependencies.log, dependencies.store.load(key));
    const none = Object.fromEntries(APP_FIELD_NAMES.map((name) => [name, null]));
    const app = await change(dependencies, key, known, { ...none, ...keepRedactedSecret(given, known) });
    sendApp(response, known === undefined ? 201 : 200, app);
  };
}

/** `PATCH /v1/admin/apps/{app}`: changes the given fields of an app; null removes a field. */
export function patchRegistered(dependencies: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const key = appKeyOf(params);
    const given = parseChanges(await readBody(request, BODY_MAX_BYTES));
    const known = await accessStore(dependencies.log, dependencies.store.load(key));
    if (known === undefined) throw new GusherError('no_such_app');
    sendApp(response, 200, await change(dependencies, key, known, keepRedactedSecret(given, known)));
  };
}

/** `DELETE /v1/admin/apps/{app}`: deletes an app (204). It accepts no new connections; open ones stay. */
export function deleteRegistered({ store, log }: Dependencies): Handler {
  return async ({ response, params }) => {
    const key = appKeyOf(params);
    // A Redis key that does not hold an app may belong to another program.
    const known = await accessStore(log, store.load(key));
    if (known === undefined || !(await accessStore(log, store.remove(key))))
      throw new GusherError('no_such_app');
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
  const sameId = await accessStore(log, findAppWithSameId(store, key, given.id));
  if (sameId !== undefined) throw new GusherError('app_id_taken');
  await accessStore(log, store.save(key, given));
  return app;
}

/** Keeps the secret of an app that the caller sends back as it read it, with the redacted secret. */
function keepRedactedSecret(given: AppChanges, known: App | undefined): AppChanges {
  if (given.secret !== REDACTED || known?.secret === undefined) return given;
  return { ...given, secret: known.secret };
}

function parseChanges(body: string): AppChanges {
  const json = parseJson(body);
  const parsed = v.safeParse(changes, json);
  if (!parsed.success) throw invalidFields(unknownFieldsIn(json));
  const given = Object.entries(parsed.output);
  const values = v.safeParse(appFieldsToSet, Object.fromEntries(given.filter(([, value]) => value !== null)));
  if (!values.success) throw invalidFields(invalidFieldsIn(values.issues));
  return { ...Object.fromEntries(given.filter(([, value]) => value === null)), ...values.output };
}

function unknownFieldsIn(json: unknown): string[] {
  if (!isObject(json)) return ['fields'];
  return Object.keys(json).filter((name) => !isFieldName(name));
}

function isFieldName(name: string): boolean {
  return (APP_FIELD_NAMES as string[]).includes(name);
}

function invalidFields(names: readonly string[]): GusherError {
  return new GusherError('bad_app_fields', { detail: `Invalid: ${quoted(names.join(', '))}.` });
}

function appKeyOf({ app = '' }: Params): string {
  if (!isAppKey(app)) throw new GusherError('bad_app');
  return app;
}

/** Waits for the store. Logs its errors, which may name files and hosts, and throws `apps_unavailable`. */
async function accessStore<T>(log: Logger, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    log.warn({ event: 'apps_unavailable', reason: (error as Error).message }, 'app store unavailable');
    throw new GusherError('apps_unavailable');
  }
}

function sendApp(response: Parameters<typeof sendJson>[0], status: number, app: App): void {
  sendJson(response, status, JSON.stringify(redactSecrets(app)));
}
