import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { type App, parseApp } from '../../../shared/apps/app.ts';
import { createAppStore } from '../../../shared/apps/create-app-store.ts';
import type { Settings } from '../../../shared/config/settings.ts';
import { isObject } from '../../../shared/json/is-object.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import { normalOrigin } from '../../../shared/net/origin.ts';
import { isPrivateAddress } from '../../../shared/net/private-address.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import { checkPublicKey } from './public-key.ts';

/** Permission bits of others (inode(7)). */
const READABLE_BY_OTHERS = 0o004;

type StoreSettings = Pick<Settings, 'redisUrl' | 'redisPrefix' | 'appsFile' | 'eventWebhookAllowPrivate'>;

/** The apps of a store, and the records that are no apps. */
interface StoredApps {
  readonly apps: readonly App[];
  /** Names of invalid fields by app key. */
  readonly invalid: ReadonlyMap<string, readonly string[]>;
  /** Keys of records without a way to authenticate clients. */
  readonly withoutAuth: readonly string[];
}

/** Reads the apps that `gusher start` would serve, and checks them. */
export async function checkApps(settings: StoreSettings): Promise<Finding[]> {
  const { redisUrl, appsFile } = settings;
  try {
    const stored = await readApps(settings);
    if (redisUrl !== undefined) return checkStoredApps(stored, settings);
    const mode = statSync(appsFile, { throwIfNoEntry: false })?.mode;
    if (mode === undefined) {
      return [ok('apps', `${appsFile} does not exist: "gusher start" serves the demo app on loopback`)];
    }
    return [...checkStoredApps(stored, settings), ...checkMode(appsFile, mode, stored.apps)];
  } catch (error) {
    const place = redisUrl === undefined ? `the file ${appsFile}` : 'Redis';
    const fix =
      redisUrl === undefined
        ? 'Correct the file, or name another one with GUSHER_APPS_FILE.'
        : 'Run "gusher doctor", which examines Redis.';
    return [problem('apps', `${place} is not readable: ${(error as Error).message}`, fix)];
  }
}

/** Reads the apps of a store. Rejects with a readable message if it is unavailable. */
export async function readApps(settings: StoreSettings): Promise<StoredApps> {
  const invalid = new Map<string, readonly string[]>();
  const store = createAppStore(settings, {
    onInvalidApp: (key, fields) => void invalid.set(key, fields),
  });
  try {
    const apps = await store.list();
    return {
      apps,
      invalid,
      withoutAuth: settings.redisUrl === undefined ? keysWithoutAuth(settings.appsFile, invalid) : [],
    };
  } finally {
    await store.close();
  }
}

/** In Redis, such a hash belongs to another program; in the apps file it is a mistake. */
function keysWithoutAuth(path: string, invalid: ReadonlyMap<string, unknown>): string[] {
  const file = parseJson(textOf(path));
  const apps = isObject(file) && isObject(file.apps) ? file.apps : {};
  return Object.entries(apps)
    .filter(([key, fields]) => parseApp(key, fields) === undefined && !invalid.has(key))
    .map(([key]) => key);
}

/** Checks the apps of a store. */
function checkStoredApps(
  { apps, invalid, withoutAuth }: StoredApps,
  { redisUrl, appsFile, eventWebhookAllowPrivate }: StoreSettings,
): Finding[] {
  const place = redisUrl === undefined ? appsFile : 'Redis';
  const findings = [
    ...[...invalid].map(([key, fields]) =>
      problem(
        `app ${key}`,
        `it is not served, because these fields are invalid: ${fields.join(', ')}`,
        `Set each again: gusher apps add ${key} --${(fields[0] ?? 'url').replaceAll('_', '-')} …`,
      ),
    ),
    ...withoutAuth.map((key) =>
      problem(
        `app ${key}`,
        'it is not served, because its clients have no way to authenticate',
        `Add one: gusher apps add ${key} --url https://… (or --channels, --jwt-public-key, --jwks-url, --pusher)`,
      ),
    ),
    ...sharedIds(apps),
    ...apps.flatMap((app) => checkApp(app, { isRedis: redisUrl !== undefined, eventWebhookAllowPrivate })),
  ];
  const count = apps.length === 1 ? '1 app is' : `${apps.length} apps are`;
  return [ok('apps', `${count} registered in ${place}`), ...findings];
}

function sharedIds(apps: readonly App[]): Finding[] {
  return apps.flatMap(({ key, id }, index) => {
    const first = apps.slice(0, index).find((other) => id !== undefined && other.id === id);
    if (first === undefined) return [];
    const message = `it has the id ${id} of the app ${first.key}, so its SDKs reach that app`;
    return [problem(`app ${key}`, message, `Give it another id: gusher apps add ${key} --id …`)];
  });
}

function checkApp(
  app: App,
  { isRedis, eventWebhookAllowPrivate }: { isRedis: boolean; eventWebhookAllowPrivate: boolean },
): Finding[] {
  const check = `app ${app.key}`;
  const findings: Finding[] = [];
  const warn = (message: string, fix: string): void => void findings.push(warning(check, message, fix));
  if (app.jwt_public_key !== undefined) findings.push(checkPublicKey(check, app.jwt_public_key));
  if (!app.enabled)
    warn('it is disabled, so its clients are rejected', `gusher apps add ${app.key} --enabled`);
  const dead = (app.origins ?? []).filter((origin) => normalOrigin(origin) === undefined);
  if (dead.length > 0) {
    warn(
      `no browser sends these origins: ${dead.join(', ')}`,
      `gusher apps add ${app.key} --origins https://…`,
    );
  }
  if (app.remote_url !== undefined && isRedis) {
    warn(
      'remote_url has no effect while Redis is used: jobs go to Redis lists',
      'Read the lists, or remove remote_url.',
    );
  }
  if (app.webhook_events !== undefined && app.webhook_url === undefined) {
    warn(
      'webhook_events has no effect without a webhook_url',
      `gusher apps add ${app.key} --webhook-url https://…`,
    );
  }
  if (!eventWebhookAllowPrivate && hasPrivateHost(app.webhook_url)) {
    findings.push(
      problem(
        check,
        'webhook_url has a private address, so no event is sent',
        'Use a public address, or set GUSHER_EVENT_WEBHOOK_ALLOW_PRIVATE=true.',
      ),
    );
  }
  for (const name of ['max_connections', 'max_channels', 'max_subscriptions'] as const) {
    const flag = name.replaceAll('_', '-');
    if (app[name] === 0)
      warn(`${name} is 0, so every client is rejected`, `gusher apps add ${app.key} --${flag} …`);
  }
  return findings;
}

/** A name of another form is resolved when an event is sent, and may change. */
function hasPrivateHost(url: string | undefined): boolean {
  if (url === undefined) return false;
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  return host === 'localhost' || (isIP(host) !== 0 && isPrivateAddress(host));
}

/** Attack: other users of this machine, who read the secrets of apps. */
function checkMode(path: string, mode: number, apps: readonly App[]): Finding[] {
  const hasSecret = apps.some(({ secret }) => secret !== undefined);
  if (!hasSecret || (mode & READABLE_BY_OTHERS) === 0) return [];
  return [warning('apps', `every user of this machine can read the secrets in ${path}`, `chmod o-r ${path}`)];
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The store has read it, or it does not exist.
    return '';
  }
}
