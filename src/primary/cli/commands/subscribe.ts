import type { CommandModule } from 'yargs';
import { DEMO_APP } from '../../../shared/apps/app.ts';
import { reachableFromHere } from '../../../shared/net/address.ts';
import { loadSettings, settingOptions } from '../load-settings.ts';
import { type Arguments, checkedUrl, textOption, wordsAfterDashes } from '../options.ts';

const LISTEN_SETTINGS = ['listen'] as const;

/** `gusher subscribe <channel…>`: prints messages until a signal stops it. */
export const subscribeCommand: CommandModule = {
  command: 'subscribe <channel..>',
  describe: 'print messages published to channels',
  builder: (yargs) =>
    yargs
      .positional('channel', { type: 'string', array: true, demandOption: true })
      .option('app', textOption('app key', { default: DEMO_APP.key }))
      .option('auth', textOption('credential for the auth webhook of the app'))
      .option('url', textOption('ws:// or wss:// URL of another host, instead of --listen'))
      .options(settingOptions(LISTEN_SETTINGS))
      .example('$0 subscribe news', 'the channel "news" of the app "demo"')
      .example('$0 subscribe --app shop --auth s3cr3t orders stock', 'two channels of another app')
      .example('$0 subscribe --url wss://push.example.com news', 'from another host')
      .epilogue(
        'Prints one line of JSON per message. Exit code: 0 after Ctrl-C, 1 if the connection closes.',
      ),
  handler: async (argv) => {
    const channels = [...(argv.channel as string[]), ...wordsAfterDashes(argv)];
    const signals = ['SIGINT', 'SIGTERM'] as const;
    // Imported here, because the other commands do not need ws.
    const { SubscribeClient } = await import('../clients/subscribe-client.ts');
    const client = new SubscribeClient(urlOf(argv), channels);
    for (const signal of signals) process.once(signal, () => client.stop());
    await client.ended;
  },
};

function urlOf(argv: Arguments): URL {
  const url = argv.url === undefined ? urlOfSettings(argv) : checkedUrl(String(argv.url));
  if (url.pathname === '/') url.pathname = `/ws/${encodeURIComponent(String(argv.app))}`;
  if (argv.auth !== undefined) url.searchParams.set('auth', String(argv.auth));
  return url;
}

function urlOfSettings(argv: Arguments): URL {
  const { settings } = loadSettings(argv, LISTEN_SETTINGS);
  return new URL(`ws://${reachableFromHere(settings.listen)}`);
}
