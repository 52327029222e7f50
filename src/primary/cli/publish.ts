import type { CommandModule } from 'yargs';
import { reachableFromHere } from '../../shared/address.ts';
import { DEMO_APP } from '../../shared/app.ts';
import { CommandFailedError } from './exit.ts';
import { settingOptions, settingsOf } from './settings.ts';

const DEADLINE_MS = 10_000;

/** `gusher publish <channel> <event> <data>`: through the API of a gusher that runs. */
export const publishCommand: CommandModule = {
  command: 'publish <channel> <event> [data]',
  describe: 'publish a message to a channel',
  builder: (yargs) =>
    yargs
      .positional('channel', { type: 'string', demandOption: true })
      .positional('event', { type: 'string', demandOption: true })
      .positional('data', {
        type: 'string',
        describe: 'JSON; what is none is sent as a string',
        default: 'null',
      })
      .option('app', { type: 'string', describe: 'app key', default: DEMO_APP.key })
      .options(settingOptions(['apiListen']))
      .example(`$0 publish news hello '{"text":"it works"}'`, 'to the channel "news" of the app "demo"')
      .example('$0 publish --app shop orders paid 4711', 'to another app'),
  handler: async (argv) => {
    const { settings } = settingsOf(argv);
    const path = ['v1', 'apps', argv.app, 'channels', argv.channel, 'messages'];
    const url = `http://${reachableFromHere(settings.apiListen)}/${path.map(encodeSegment).join('/')}`;
    const response = await post(url, bodyOf(String(argv.event), String(argv.data)), settings.apiToken);
    process.stdout.write(`${response}\n`);
  },
};

function encodeSegment(segment: unknown): string {
  return encodeURIComponent(String(segment));
}

/** Data that is JSON goes out as it was typed. */
function bodyOf(event: string, data: string): string {
  return `{"event":${JSON.stringify(event)},"data":${isJson(data) ? data : JSON.stringify(data)}}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Then it is meant as a string.
    return false;
  }
}

async function post(url: string, body: string, token: string | undefined): Promise<string> {
  const headers = {
    'Content-Type': 'application/json',
    ...(token !== undefined && { Authorization: `Bearer ${token}` }),
  };
  const response = await fetch(url, {
    method: 'POST',
    headers,
    body,
    signal: AbortSignal.timeout(DEADLINE_MS),
  }).catch((error: Error) => {
    const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
    throw new CommandFailedError(`no gusher answers at ${new URL(url).host} (${code ?? error.name})`);
  });
  const text = await response.text();
  if (!response.ok) throw new CommandFailedError(`not published: ${sentenceOf(text)}`);
  return text;
}

function sentenceOf(text: string): string {
  try {
    return (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    // Somebody else answered at that address.
    return 'the answer is not one of gusher';
  }
}
