import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import type { CommandModule } from 'yargs';
import { reachableFromHere } from '../../shared/address.ts';
import { DEMO_APP } from '../../shared/app.ts';
import { CommandFailedError } from './exit.ts';
import { settingOptions, settingsOf } from './settings.ts';

const HANDSHAKE_TIMEOUT_MS = 15_000;

/** `gusher subscribe <channel…>`: prints deliveries until it is interrupted. */
export const subscribeCommand: CommandModule = {
  command: 'subscribe <channel..>',
  describe: 'print what is published to channels',
  builder: (yargs) =>
    yargs
      .positional('channel', { type: 'string', array: true, demandOption: true })
      .option('app', { type: 'string', describe: 'app key', default: DEMO_APP.key })
      .option('auth', {
        type: 'string',
        describe: 'credential for the webhook of the app',
        requiresArg: true,
      })
      .options(settingOptions(['listen']))
      .example('$0 subscribe news', 'the channel "news" of the app "demo"')
      .example('$0 subscribe --app shop --auth s3cr3t orders stock', 'two channels of another app'),
  handler: async (argv) => {
    const { settings } = settingsOf(argv);
    const query = argv.auth === undefined ? '' : `?auth=${encodeURIComponent(String(argv.auth))}`;
    const app = encodeURIComponent(String(argv.app));
    const url = `ws://${reachableFromHere(settings.listen)}/ws/${app}${query}`;
    await listen(url, (argv.channel as unknown[]).map(String));
  },
};

/** Resolves when the user interrupts; rejects when the connection ends otherwise. */
function listen(url: string, channels: readonly string[]): Promise<void> {
  const socket = new WebSocket(url, { handshakeTimeout: HANDSHAKE_TIMEOUT_MS });
  return new Promise((resolve, reject) => {
    const fail = (sentence: string): void => reject(new CommandFailedError(sentence));
    process.once('SIGINT', () => {
      resolve();
      socket.close();
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      fail(`cannot connect: ${error.code ?? error.message}`),
    );
    socket.on('unexpected-response', (_request, response) => void told(response).then(fail));
    socket.on('close', (code, reason) => fail(`the connection was closed (${code} ${reason.toString()})`));
    socket.on('open', () => {
      socket.send(JSON.stringify({ event: 'gusher.multi_subscribe', data: { multi_channel: channels } }));
    });
    socket.on('message', (data) => {
      const text = data.toString();
      const { event, data: details } = JSON.parse(text) as { event?: string; data?: { message?: string } };
      if (event === 'gusher.multi_subscribe_succeeded') {
        process.stderr.write(`subscribed to ${channels.join(', ')}; Ctrl-C ends\n`);
      } else if (event === 'gusher.multi_subscribe_error') {
        fail(`not subscribed: ${details?.message ?? ''}`);
        socket.close();
      } else {
        process.stdout.write(`${text}\n`);
      }
    });
  });
}

/** The sentence in a refusal. */
async function told(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  try {
    const { error } = JSON.parse(Buffer.concat(chunks).toString()) as { error: { message: string } };
    return `refused (${response.statusCode}): ${error.message}`;
  } catch {
    // Somebody else answered at that address.
    return `refused (${response.statusCode})`;
  }
}
