import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { CommandModule } from 'yargs';
import {
  APP_FIELD_FORMS,
  APP_FIELD_NAMES,
  type AppFields,
  appFieldsToSet,
  parseApp,
  redactSecrets,
} from '../../../shared/apps/app.ts';
import { type AppStore, findAppWithSameId } from '../../../shared/apps/app-store.ts';
import { createAppStore } from '../../../shared/apps/create-app-store.ts';
import { isAppKey } from '../../../shared/model/names.ts';
import { WEBHOOK_EVENT_NAMES } from '../../../shared/model/webhook-event.ts';
import { CommandFailedError, UsageError } from '../errors.ts';
import { loadSettings, settingOptions } from '../load-settings.ts';
import { type Arguments, textOption } from '../options.ts';
import { print, printNote } from '../output.ts';

const STORE_SETTINGS = ['redisUrl', 'redisPrefix', 'appsFile'] as const;
/** Six to nine digits, like ids of Pusher. Some SDKs parse ids as numbers. */
const MIN_GENERATED_ID = 100_000;
const MAX_GENERATED_ID = 1_000_000_000;
const GENERATED_SECRET_BYTES = 20;
const PUSHER_FIELDS: ReadonlySet<string> = new Set([
  'client_events',
  'id',
  'secret',
  'origins',
  'tls_only',
  'authorized_only',
  'subscription_count',
  'webhook_url',
  'webhook_events',
  'webhook_batch',
  'max_connections',
  'max_channels',
  'max_subscriptions',
  'max_presence_members',
  'client_events_per_second',
  'max_publishes_per_second',
  'max_client_events_per_second',
  'max_bytes_out_per_second',
]);
const onOff = (describe: string) => ({ type: 'string', choices: ['on', 'off'], describe }) as const;
const KEY = { type: 'string', describe: 'letters, digits and _ . ~ -', demandOption: true } as const;

const add: CommandModule = {
  command: 'add <key>',
  describe: 'register an app, or change the given fields of an existing app',
  builder: (yargs) =>
    yargs
      .positional('key', KEY)
      .option('url', textOption('URL of the webhook that checks credentials'))
      .option('channels', textOption('channels granted to clients without a credential, comma-separated'))
      .option('jwt-public-key', textOption('file with the public key (PEM) that verifies tokens'))
      .option('jwks-url', textOption('URL of the key set (JWKS) that verifies tokens'))
      .option('remote-url', textOption('URL that receives gusher.remote when Redis is not used'))
      .option('client-events', onOff('allow clients to send events'))
      .option('pusher', {
        type: 'boolean',
        describe: 'generate an id and a secret for Pusher clients and SDKs',
      })
      .option('id', textOption('app id of Pusher SDKs: 1 to 64 letters, digits, _ and -'))
      .option('secret', textOption('app secret of Pusher SDKs; process lists show it while the command runs'))
      .option(
        'origins',
        textOption(
          'origins (https://…, capacitor://…, null) or hosts that browsers may connect from, comma-separated',
        ),
      )
      .option('tls-only', onOff('reject clients without TLS at the proxy (X-Forwarded-Proto)'))
      .option(
        'authorized-only',
        onOff('close Pusher clients that neither sign in nor join a private channel'),
      )
      .option('subscription-count', onOff('send subscription counts to Pusher clients'))
      .option('webhook-url', textOption('URL of the event webhook (Pusher)'))
      .option(
        'webhook-events',
        textOption(`event types to send, comma-separated: ${WEBHOOK_EVENT_NAMES.join(', ')}`),
      )
      .option('webhook-batch', onOff('send up to 100 events in one webhook body instead of one'))
      .option('max-connections', textOption('maximum connections of the app, on all hosts together'))
      .option('max-channels', textOption('channels that the app may have at once, on all hosts'))
      .option('max-subscriptions', textOption('subscriptions that the app may have at once, on all hosts'))
      .option('max-presence-members', textOption('maximum users of a presence channel'))
      .option('client-events-per-second', textOption('client events accepted per connection per second'))
      .option('max-publishes-per-second', textOption('publications of the app accepted per second and host'))
      .option(
        'max-client-events-per-second',
        textOption('client events of the app accepted per second and host'),
      )
      .option('max-bytes-out-per-second', textOption('bytes sent to clients of the app per second and host'))
      .option('enabled', { type: 'boolean', describe: 'accept its clients' })
      .option('disabled', { type: 'boolean', describe: 'reject its clients' })
      .conflicts('enabled', 'disabled')
      .example(
        '$0 apps add shop --url http://127.0.0.1:3000/auth',
        'a webhook checks the credentials of clients',
      )
      .example('$0 apps add shop --pusher', 'for pusher-js, Laravel Echo and the SDKs of Pusher')
      .example("$0 apps add board --channels 'news,app*'", 'clients need no credential for these channels')
      .example('$0 apps add board --disabled', 'reject its clients until --enabled'),
  handler: (argv) => {
    const key = checkedKey(argv.key);
    const given = checkedFields(argv);
    return withStore(argv, async (store, place) => {
      const known = await store.load(key);
      const generated = argv.pusher === true ? generateCredentials({ ...known, ...given }) : {};
      const fields = { ...generated, ...given };
      if (parseApp(key, { ...known, ...fields }) === undefined) {
        throw new UsageError(
          'a new app needs a way to authenticate clients: set --url, --channels, --jwt-public-key, --jwks-url or --pusher',
        );
      }
      const sameId = await findAppWithSameId(store, key, given.id);
      if (sameId !== undefined) throw new UsageError(`the app ${sameId.key} already has the id ${sameId.id}`);
      await store.save(key, fields);
      print(`${known === undefined ? 'added' : 'changed'} ${key} in ${place}`);
      if (generated.id !== undefined) print(`id ${generated.id}`);
      if (generated.secret !== undefined) print(`secret ${generated.secret}`);
      const isCached = argv.pusher === true && generated.secret === undefined && given.secret === undefined;
      if (isCached)
        printNote(
          `the id and the secret are unchanged; to print them, run: gusher apps show ${key} --secrets`,
        );
    });
  },
};

const list: CommandModule = {
  command: 'list',
  describe: 'print all apps, one line of JSON per app',
  builder: (yargs) => yargs.example('$0 apps list', 'all apps'),
  handler: (argv) =>
    withStore(argv, async (store, place) => {
      const apps = await store.list();
      for (const app of apps) print(JSON.stringify(redactSecrets(app)));
      if (apps.length === 0) printNote(`no app is registered in ${place}`);
    }),
};

const show: CommandModule = {
  command: 'show <key>',
  describe: 'print one app',
  builder: (yargs) =>
    yargs
      .positional('key', KEY)
      .option('secrets', { type: 'boolean', describe: 'print the secret instead of ***' })
      .example('$0 apps show shop', 'the app "shop"')
      .example('$0 apps show shop --secrets', 'with the secret that Pusher SDKs need'),
  handler: (argv) => {
    const key = checkedKey(argv.key);
    return withStore(argv, async (store, place) => {
      const app = await store.load(key);
      if (app === undefined) throw new CommandFailedError(`there is no app ${key} in ${place}`);
      print(JSON.stringify(argv.secrets === true ? app : redactSecrets(app), undefined, 2));
    });
  },
};

const remove: CommandModule = {
  command: 'remove <key>',
  describe: 'remove an app; its clients are rejected from then on',
  builder: (yargs) => yargs.positional('key', KEY).example('$0 apps remove shop', 'the app "shop"'),
  handler: (argv) => {
    const key = checkedKey(argv.key);
    return withStore(argv, async (store, place) => {
      // Never deletes a Redis key that is not an app.
      const known = await store.load(key);
      if (known === undefined || !(await store.remove(key))) {
        throw new CommandFailedError(`there is no app ${key} in ${place}`);
      }
      print(`removed ${key} from ${place}`);
    });
  },
};

/** `gusher apps`: registers apps in the store of `gusher start`. Changes need no restart. */
export const appsCommand: CommandModule = {
  command: 'apps',
  describe: 'register and list apps',
  builder: (yargs) =>
    yargs
      .options(settingOptions(STORE_SETTINGS))
      .command(add)
      .command(list)
      .command(show)
      .command(remove)
      .example('$0 apps add shop --url http://127.0.0.1:3000/auth', 'register an app')
      .example('$0 apps list --redis-url redis://127.0.0.1:6379', 'list the apps in Redis')
      .demandCommand(1, 'A command is required: add, list, show or remove.'),
  handler: () => undefined,
};

/** `place` describes the store for messages. */
async function withStore(
  argv: Arguments,
  work: (store: AppStore, place: string) => Promise<void>,
): Promise<void> {
  const { settings } = loadSettings(argv, STORE_SETTINGS);
  const store = createAppStore(settings, {
    onInvalidApp: (key, fields) => printNote(`app ${key} ignored: invalid fields: ${fields.join(', ')}`),
  });
  try {
    await work(store, settings.redisUrl === undefined ? settings.appsFile : 'Redis');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    // Errors of a store are readable messages.
    throw new CommandFailedError((error as Error).message);
  } finally {
    await store.close();
  }
}

function checkedKey(key: unknown): string {
  if (typeof key === 'string' && isAppKey(key)) return key;
  throw new UsageError('an app key must have 1 to 128 letters, digits and _ . ~ -');
}

function checkedFields(argv: Arguments): AppFields {
  const { url, channels } = argv;
  const { 'jwt-public-key': keyFile, 'jwks-url': jwksUrl, 'remote-url': remoteUrl } = argv;
  const given = {
    ...(url !== undefined && { url }),
    ...(typeof channels === 'string' && { channels: namesIn(channels) }),
    ...(typeof keyFile === 'string' && { jwt_public_key: textIn(keyFile) }),
    ...(jwksUrl !== undefined && { jwks_url: jwksUrl }),
    ...(remoteUrl !== undefined && { remote_url: remoteUrl }),
    ...pusherFieldsOf(argv),
    ...(argv.enabled === true && { enabled: true }),
    ...(argv.disabled === true && { enabled: false }),
  };
  if (Object.keys(given).length === 0 && argv.pusher !== true) {
    throw new UsageError('at least one option is required');
  }
  const parsed = v.safeParse(appFieldsToSet, given);
  if (parsed.success) return parsed.output;
  const errors = parsed.issues.map(
    ({ path, message }) => `--${String(path?.[0].key).replaceAll('_', '-')}: ${message}`,
  );
  throw new UsageError(errors.join('\n'));
}

function textIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(
      `--jwt-public-key: ${path} is not readable (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}

function pusherFieldsOf(argv: Arguments): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const name of APP_FIELD_NAMES.filter((field) => PUSHER_FIELDS.has(field))) {
    const value = argv[name.replaceAll('_', '-')];
    if (typeof value === 'string') fields[name] = VALUE_OF[APP_FIELD_FORMS[name]](value);
  }
  return fields;
}

const VALUE_OF = {
  text: (text: string) => text,
  list: namesIn,
  boolean: (text: string) => text === 'on',
  // The schema rejects text that is not a number.
  number: (text: string) => (/^\d+$/.test(text) ? Number(text) : text),
};

function namesIn(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}

/** Generates the Pusher credentials that the app lacks. */
function generateCredentials({ id, secret }: AppFields): AppFields {
  return {
    ...(id === undefined && { id: String(randomInt(MIN_GENERATED_ID, MAX_GENERATED_ID)) }),
    ...(secret === undefined && { secret: randomBytes(GENERATED_SECRET_BYTES).toString('hex') }),
  };
}
