import * as v from 'valibot';
import type { CommandModule } from 'yargs';
import { type App, type AppFields, appFields } from '../../shared/app.ts';
import type { AppStore } from '../../shared/app-store/app-store.ts';
import { openAppStore } from '../../shared/app-store/open-store.ts';
import { isAppKey } from '../../shared/topic.ts';
import { CommandFailedError } from './exit.ts';
import { settingOptions, settingsOf } from './settings.ts';

const add: CommandModule = {
  command: 'add <key>',
  describe: 'register an app, or change the given fields of one',
  builder: (yargs) =>
    yargs
      .positional('key', {
        type: 'string',
        describe: 'app key: letters, digits and _ . ~ -',
        demandOption: true,
      })
      .option('url', { type: 'string', describe: 'auth webhook', requiresArg: true })
      .option('channels', {
        type: 'string',
        describe: 'grants, between commas, of clients that present no credential',
        requiresArg: true,
      })
      .option('enabled', { type: 'boolean', describe: 'let its clients in' })
      .example('$0 apps add shop --url http://127.0.0.1:3000/auth', 'clients are checked by a webhook')
      .example("$0 apps add board --channels 'news,app*'", 'everybody may subscribe to these'),
  handler: async (argv) => {
    const key = checkedKey(argv.key);
    const fields = checkedFields(argv);
    await withStore(argv, async (store) => {
      const known = await store.load(key);
      if (known === undefined && fields.url === undefined && fields.channels === undefined) {
        throw new Error('a new app needs --url or --channels, or nobody could come in');
      }
      await store.save(key, fields);
      print(`${known === undefined ? 'added' : 'changed'} ${key}`);
    });
  },
};

const list: CommandModule = {
  command: 'list',
  describe: 'all registered apps',
  handler: (argv) =>
    withStore(argv, async (store) => {
      for (const app of await store.list()) print(JSON.stringify(app));
    }),
};

const show: CommandModule = {
  command: 'show <key>',
  describe: 'one app',
  builder: (yargs) => yargs.positional('key', { type: 'string', demandOption: true }),
  handler: (argv) =>
    withStore(argv, async (store) => {
      const app: App | undefined = await store.load(checkedKey(argv.key));
      if (app === undefined) throw new CommandFailedError(`there is no app ${String(argv.key)}`);
      print(JSON.stringify(app, undefined, 2));
    }),
};

const remove: CommandModule = {
  command: 'remove <key>',
  describe: 'forget an app; nobody is let in to it any more',
  builder: (yargs) => yargs.positional('key', { type: 'string', demandOption: true }),
  handler: (argv) =>
    withStore(argv, async (store) => {
      const key = checkedKey(argv.key);
      if (!(await store.remove(key))) throw new CommandFailedError(`there is no app ${key}`);
      print(`removed ${key}`);
    }),
};

/** `gusher apps`: registers apps where `gusher start` looks them up; changes need no restart. */
export const appsCommand: CommandModule = {
  command: 'apps',
  describe: 'register the apps that clients belong to',
  builder: (yargs) =>
    yargs
      .options(settingOptions(['redisUrl', 'redisPrefix', 'appsFile']))
      .command(add)
      .command(list)
      .command(show)
      .command(remove)
      .demandCommand(1, 'Name one of add, list, show, remove.'),
  handler: () => undefined,
};

async function withStore(
  argv: Record<string, unknown>,
  work: (store: AppStore) => Promise<void>,
): Promise<void> {
  const { settings } = settingsOf(argv);
  const store = openAppStore(settings);
  try {
    await work({
      load: (key) => failing(store.load(key)),
      list: () => failing(store.list()),
      save: (key, fields) => failing(store.save(key, fields)),
      remove: (key) => failing(store.remove(key)),
      close: () => store.close(),
    });
  } finally {
    await store.close();
  }
}

/** What the place of the apps cannot do is no fault in the usage. */
async function failing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new CommandFailedError((error as Error).message);
  }
}

function checkedKey(key: unknown): string {
  if (typeof key === 'string' && isAppKey(key)) return key;
  throw new Error('an app key has 1 to 128 letters, digits and _ . ~ -');
}

function checkedFields({ url, channels, enabled }: Record<string, unknown>): AppFields {
  const names = typeof channels === 'string' ? channels.split(',').map((name) => name.trim()) : undefined;
  const parsed = v.safeParse(appFields, {
    ...(url !== undefined && { url }),
    ...(names !== undefined && { channels: names }),
    ...(enabled !== undefined && { enabled }),
  });
  if (parsed.success) return parsed.output;
  const faults = parsed.issues.map((issue) => `--${v.getDotPath(issue)}: ${issue.message}`);
  throw new Error(faults.join('\n'));
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
