import type { CommandModule } from 'yargs';
import { DEMO_APP } from '../../../shared/apps/app.ts';
import { isChannelName, isEventName } from '../../../shared/model/names.ts';
import { reachableFromHere } from '../../../shared/net/address.ts';
import { HttpClient, HttpRequestError } from '../../../shared/net/http-client.ts';
import { CommandFailedError } from '../errors.ts';
import { loadSettings, settingOptions } from '../load-settings.ts';
import { requireName, textOption, wordsAfterDashes } from '../options.ts';

import { errorMessageOf, oneLine, print } from '../output.ts';

const TIMEOUT_MS = 10_000;
const RESPONSE_MAX_BYTES = 1024 * 1024;
const API_SETTINGS = ['apiListen', 'apiToken'] as const;

/** `gusher publish <channel> <event> [data]`: publishes through the API of a running gusher. */
export const publishCommand: CommandModule = {
  command: 'publish <channel> <event> [data]',
  describe: 'publish a message to a channel',
  builder: (yargs) =>
    yargs
      .positional('channel', { type: 'string', demandOption: true })
      .positional('event', { type: 'string', demandOption: true })
      .positional('data', {
        type: 'string',
        describe: 'JSON, sent unchanged; other text is sent as a string; default: null',
      })
      .option('app', textOption('app key', { default: DEMO_APP.key }))
      .options(settingOptions(API_SETTINGS))
      .example(`$0 publish news hello '{"text":"it works"}'`, 'to the channel "news" of the app "demo"')
      .example('$0 publish --app shop orders paid 4711', 'to another app')
      .example("$0 publish news note -- '-- all quiet --'", 'data that begins with a dash')
      .epilogue('Prints the message that subscribers receive. Reads the API token from GUSHER_API_TOKEN.'),
  handler: async (argv) => {
    requireName('<channel>', argv.channel, isChannelName);
    requireName('<event>', argv.event, isEventName);
    const { settings } = loadSettings(argv, API_SETTINGS);
    const [afterDashes] = wordsAfterDashes(argv, argv.data === undefined ? 1 : 0);
    const data = String(argv.data ?? afterDashes ?? 'null');
    const response = await post({
      host: reachableFromHere(settings.apiListen),
      path: pathOf(String(argv.app), String(argv.channel)),
      body: bodyOf(String(argv.event), data),
      token: settings.apiToken,
    });
    if (response.status !== 200)
      throw new CommandFailedError(`not published: ${errorMessageOf(response.body)}`);
    print(oneLine(response.body));
  },
};

function pathOf(app: string, channel: string): string {
  return `/v1/apps/${encodeURIComponent(app)}/channels/${encodeURIComponent(channel)}/messages`;
}

/** Sends JSON unchanged. */
function bodyOf(event: string, data: string): string {
  return `{"event":${JSON.stringify(event)},"data":${isJson(data) ? data : JSON.stringify(data)}}`;
}

function isJson(data: string): boolean {
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}

interface ApiRequest {
  /** Host and port. */
  readonly host: string;
  readonly path: string;
  readonly body: string;
  readonly token: string | undefined;
}

async function post({ host, path, body, token }: ApiRequest): Promise<{ status: number; body: string }> {
  const client = new HttpClient({
    timeoutMs: TIMEOUT_MS,
    requestsMax: 1,
    requestsPerAppMax: 1,
    responseMaxBytes: RESPONSE_MAX_BYTES,
    allowPrivate: true,
  });
  const headers = {
    'Content-Type': 'application/json',
    ...(token !== undefined && { Authorization: `Bearer ${token}` }),
  };
  try {
    const request = { app: '', url: `http://${host}`, path, headers, body, isRepeatable: false };
    const response = await client.send(request);
    return { status: response.status, body: response.body.toString() };
  } catch (error) {
    if (!(error instanceof HttpRequestError)) throw error;
    const { reason, systemCode = reason } = error;
    const cause = reason === 'timeout' ? `no response within ${TIMEOUT_MS / 1_000} seconds` : systemCode;
    throw new CommandFailedError(`gusher is not reachable at ${host} (${cause})`);
  } finally {
    client.close();
  }
}
