import type { CommandModule } from 'yargs';
import { isObject } from '../../../shared/json/is-object.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import { type Color, type Paint, painterFor, withoutControls } from '../../../shared/logging/terminal.ts';
import { API_SETTINGS, ApiClient } from '../clients/api-client.ts';
import { loadSettings, settingOptions } from '../load-settings.ts';
import { type Arguments, textOption } from '../options.ts';
import { print, printNote } from '../output.ts';

const COLORS: Readonly<Record<string, Color>> = {
  published: 'cyan',
  delivered: 'green',
  connected: 'green',
  disconnected: 'gray',
  rejected: 'red',
  dropped: 'yellow',
};
const TYPE_WIDTH = 12;
/** The time of day in `2026-01-31T12:34:56.789Z`. */
const CLOCK = [11, 23] as const;
/** Fields that have a place of their own in a line. */
const PLACED: ReadonlySet<string> = new Set(['time', 'type', 'app', 'channel', 'event', 'data', 'worker']);

/** `gusher tail`: prints what happens on a running gusher until a signal stops it. */
export const tailCommand: CommandModule = {
  command: 'tail',
  describe: 'print live publications, connects, disconnects and rejections',
  builder: (yargs) =>
    yargs
      .option('app', textOption('only this app'))
      .option('channel', textOption('only this channel; a * at the end stands for any rest'))
      .option(
        'user',
        textOption('only this user: connects, rejections, and publications that reach the user'),
      )
      .option('data', textOption('bytes of data to show', { default: '200' }))
      .option('json', { type: 'boolean', describe: 'print each entry as one line of JSON' })
      .options(settingOptions(API_SETTINGS))
      .example('$0 tail', 'everything on this host')
      .example("$0 tail --app shop --channel 'orders*'", 'one app, channels that begin with "orders"')
      .example('$0 tail --user ann --json | jq .', 'one user, for a script')
      .epilogue(
        'Reads the API token from GUSHER_API_TOKEN. If more happens than can be shown, entries are left out, and a ' +
          '"dropped" line has their number. Exit code: 0 after Ctrl-C, 1 if the connection closes.',
      ),
  handler: async (argv) => {
    const { settings } = loadSettings(argv, API_SETTINGS);
    const stop = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
    process.stdout.on('error', () => stop.abort());
    const paint = painterFor(process.stdout);
    try {
      for await (const line of new ApiClient(settings).lines(pathOf(argv), stop.signal)) {
        if (line.includes('"type":"opened"')) printNote('waiting for events; press Ctrl-C to stop');
        else print(argv.json === true ? line : textOf(line, paint));
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  },
};

function pathOf(argv: Arguments): string {
  const query = new URLSearchParams({ data: String(argv.data) });
  for (const name of ['app', 'channel', 'user']) {
    if (argv[name] !== undefined) query.set(name, String(argv[name]));
  }
  return `/v1/tail?${query}`;
}

/** Formats an entry: time, type, app, channel, event, facts, data. Attack: control characters in names and data. */
function textOf(line: string, paint: Paint): string {
  const entry = parseJson(line);
  if (!isObject(entry)) return withoutControls(line);
  const { time, type, app, channel, event, data } = entry;
  const facts = Object.entries(entry).filter(([name]) => !PLACED.has(name));
  const words = [
    paint('gray', String(time).slice(...CLOCK)),
    paint(COLORS[String(type)] ?? 'bold', withoutControls(String(type)).padEnd(TYPE_WIDTH)),
    ...[app, channel, event]
      .filter((word) => word !== undefined)
      .map((word) => withoutControls(String(word))),
    ...facts.map(([name, value]) => paint('gray', withoutControls(`${name}=${String(value)}`))),
    ...(data === undefined ? [] : [withoutControls(String(data))]),
  ];
  return words.join(' ');
}
