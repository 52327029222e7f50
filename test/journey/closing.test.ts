import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { WebSocket } from 'ws';
import { ERRORS, type ErrorEntry } from '../../src/shared/errors/catalogue.ts';
import { WS_CLOSE_CODES } from '../../src/worker/connection/client-socket.ts';
import { connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP, pusherSdk } from '../support/pusher-app.ts';
import { connectPusher, type PusherClient } from '../support/pusher-client.ts';

/** Writes bytes to the client's TCP socket, bypassing its WebSocket library. */
function writeRaw(socket: WebSocket, bytes: readonly number[]): void {
  (socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from(bytes));
}

/** Builds a frame masked with zeros, so that the payload is unchanged. */
const frame = (head: number, ...payload: number[]): number[] => [
  head,
  0x80 | payload.length,
  0,
  0,
  0,
  0,
  ...payload,
];

/** Client behaviour after which the WebSocket protocol requires a close. */
const BROKEN: readonly [what: string, act: (socket: WebSocket) => void, errorEntry: ErrorEntry][] = [
  ['an unmasked frame', (socket) => writeRaw(socket, [0x81, 0x01, 0x61]), ERRORS.bad_frame],
  ['an unknown opcode', (socket) => writeRaw(socket, frame(0x83)), ERRORS.bad_frame],
  ['text that is not UTF-8', (socket) => writeRaw(socket, frame(0x81, 0xff, 0xfe)), ERRORS.bad_utf8],
  ['a message beyond the limit', (socket) => socket.send('x'.repeat(20_000)), ERRORS.message_too_long],
  [
    'a message in too many fragments',
    (socket) => {
      const middle = Buffer.concat(Array.from({ length: 20_000 }, () => Buffer.from(frame(0x00))));
      writeRaw(socket, [...frame(0x01), ...middle]);
    },
    ERRORS.too_many_fragments,
  ],
];

describe('Close codes', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;

  before(async () => {
    apps = new AppsFile({ channels: ['*'] });
    gusher = await startGusher({
      workers: 1,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_MESSAGE_MAX_BYTES: '16384',
        GUSHER_PROTOCOL_ERRORS_PER_MINUTE: '2',
      },
    });
  });
  after(async () => {
    await gusher.stop();
    apps.remove();
  });

  const connect = (protocol: number): Promise<PusherClient> =>
    connectPusher(`${gusher.url}/app/${PUSHER_APP.key}?protocol=${protocol}`, PUSHER_APP);

  /** Waits for the close of a Pusher client. In protocols 4 and 5 an error event with the same code precedes it. */
  async function expectClose(
    client: PusherClient,
    protocol: number,
    code: number,
    sentence: string,
  ): Promise<void> {
    expect(await within(client.closed, 'the close')).to.deep.equal({ code, reason: sentence });
    const last = JSON.parse(client.texts.at(-1) ?? '{}') as object;
    const error = { event: 'pusher:error', data: { message: sentence, code } };
    if (protocol < 6) expect(last).to.deep.equal(error);
    else expect(last).not.to.deep.equal(error);
  }

  for (const [what, act, { close = 0, message: sentence }] of BROKEN) {
    it(`sends ${close} and the reason after ${what}, in every protocol`, async () => {
      const native = await connectClient(gusher.clientUrl(PUSHER_APP.key));
      act(native.socket);
      expect(await within(native.closed, 'the close')).to.deep.equal({ code: close, reason: sentence });
      for (const protocol of [4, 7]) {
        const client = await connect(protocol);
        act(client.socket);
        await expectClose(client, protocol, close, sentence);
      }
    });
  }

  for (const protocol of [4, 5, 6, 7]) {
    it(`sends the code in the form of protocol ${protocol} when a user is terminated`, async () => {
      const client = await connect(protocol);
      await client.signIn({ id: `user-of-${protocol}` });
      await pusherSdk(gusher.url).terminateUserConnections(`user-of-${protocol}`);
      await expectClose(client, protocol, 4009, ERRORS.terminated.message);
    });

    it(`sends the code in the form of protocol ${protocol} after too many protocol errors`, async () => {
      const client = await connect(protocol);
      for (let n = 0; n < 3; n += 1) client.socket.send('x');
      await expectClose(client, protocol, 4029, ERRORS.too_many_protocol_errors.message);
    });
  }

  it('sends the code to old protocols when the server stops', async () => {
    const other = await startGusher({ workers: 1, env: { GUSHER_APPS_FILE: apps.path } });
    const url = `${other.url}/app/${PUSHER_APP.key}`;
    const clients = await Promise.all(
      [5, 7].map((protocol) => connectPusher(`${url}?protocol=${protocol}`, PUSHER_APP)),
    );
    await other.stop();
    for (const [index, protocol] of [5, 7].entries()) {
      const client = clients[index] as PusherClient;
      await expectClose(client, protocol, 4200, ERRORS.server_stopping.message);
    }
  });
});

describe('Close codes of ws', () => {
  it('all have an entry in the error catalogue', () => {
    const folder = join(dirname(createRequire(import.meta.url).resolve('ws')), 'lib');
    const text = ['receiver.js', 'permessage-deflate.js'].map((name) =>
      readFileSync(join(folder, name), 'utf8'),
    );
    const codes = text.join().matchAll(/^\s+(1\d{3}),\n\s+'WS_ERR_|kStatusCode\] = (1\d{3});/gm);
    const found = new Set([...codes].map(([, made, set]) => Number(made ?? set)));
    expect([...found].sort()).to.deep.equal([...WS_CLOSE_CODES.keys()].sort());
  });
});
