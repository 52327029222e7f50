import type { CommandModule } from 'yargs';
import { DEMO_APP } from '../../../shared/apps/app.ts';
import { isChannelName, isEventName } from '../../../shared/model/names.ts';
import { API_SETTINGS, ApiClient } from '../clients/api-client.ts';
import { CommandFailedError } from '../errors.ts';
import { loadSettings, settingOptions } from '../load-settings.ts';
import { requireName, textOption, wordsAfterDashes } from '../options.ts';

import { errorMessageOf, oneLine, print } from '../output.ts';

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
    const path = pathOf(String(argv.app), String(argv.channel));
    const response = await new ApiClient(settings).post(path, bodyOf(String(argv.event), data));
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
