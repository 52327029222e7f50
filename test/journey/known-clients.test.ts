import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { type GusherJs, loadGusherJs } from '../support/gusher-js.ts';

const WSCAT = fileURLToPath(new URL('../../../node_modules/.bin/wscat', import.meta.url));

describe('Existing clients', () => {
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({ workers: 2 });
  });

  after(() => gusher.stop());

  describe('wscat', () => {
    it('subscribes and prints what is published', async () => {
      const cat = openWscat(gusher.clientUrl(), '{"event":"gusher.subscribe","data":{"channel":"cats"}}');
      await cat.prints('gusher.subscribe_succeeded');
      await gusher.publish('cats', 'meow', { loud: true });
      await cat.prints('{"channel":"cats","event":"meow","data":{"loud":true}}');
      await cat.end();
    });

    it('gets an error after a typo and stays connected', async () => {
      const cat = openWscat(
        gusher.clientUrl(),
        'subscribe cats',
        '{"event":"gusher.ping","data":"still here"}',
      );
      await cat.prints('malformed_frame');
      await cat.prints('still here');
      await cat.end();
    });
  });

  describe('gusher-js, unmodified', () => {
    let library: ReturnType<typeof loadGusherJs>;

    before(() => {
      library = loadGusherJs();
    });

    after(() => library.unload());

    for (const binary of [false, true]) {
      const form = binary ? 'binary frames' : 'text frames';

      it(`receives the messages of its channels, with ${form}`, async () => {
        const client = library.create('demo', { url: gusher.clientUrl(), token: '', binary });
        const received: unknown[] = [];
        const note = (data: never): void => void received.push(data);
        const early = client.subscribe('early').bind('tick', note);
        await connect(client);
        client.subscribe('late').bind('tick', note);
        Object.values(client.subscribes(['one', 'two'])).map((channel) => channel.bind('tick', note));
        expect(early).to.have.property('subscribed', true);
        for (const channel of ['early', 'late', 'one', 'two']) {
          await publishUntilReceived(gusher, received, channel, `${channel} ✓`);
        }
        expect(new Set(received)).to.deep.equal(new Set(['early ✓', 'late ✓', 'one ✓', 'two ✓']));
        await leave(client);
      });
    }

    it('subscribes to more channels than fit in one command', async () => {
      const client = library.create('demo', { url: gusher.clientUrl(), token: '' });
      const names = Array.from({ length: 25 }, (_, number) => `a-rather-long-channel-name-${number}`);
      const received: unknown[] = [];
      for (const channel of Object.values(client.subscribes(names))) {
        channel.bind('tick', (data: never) => void received.push(data));
      }
      await connect(client);
      for (const name of names) await publishUntilReceived(gusher, received, name, name);
      await leave(client);
    });

    it('reconnects after its worker was killed, and receives the messages of its channels again', async () => {
      const client = library.create('demo', {
        url: gusher.clientUrl(),
        token: '',
        reconnection: true,
        reconnectionDelay: 50,
      });
      const received: unknown[] = [];
      client.subscribe('phoenix').bind('tick', (data: never) => void received.push(data));
      await connect(client);
      await publishUntilReceived(gusher, received, 'phoenix', 'before');
      const closed = new Promise<{ code: number }>((resolve) => client.bind('@closed', resolve));
      const again = nextEvent(client, 'connected');
      for (const pid of gusher.workerPids) process.kill(pid, 'SIGKILL');
      expect((await within(closed, 'the end of the connection')).code).to.equal(1006);
      await within(again, 'the next connection');
      await publishUntilReceived(gusher, received, 'phoenix', 'after');
      await leave(client);
    });
  });

  it('keep a plain ws client connected that never sends anything', async () => {
    const client = await connectClient(gusher.clientUrl());
    await client.expectNothing();
    await client.close();
  });
});

function nextEvent(client: GusherJs, event: string): Promise<void> {
  return new Promise((resolve) => client.bind(event, () => resolve()));
}

/** Connects and waits for the replies to earlier subscriptions, if any. */
async function connect(client: GusherJs): Promise<void> {
  const subscribed = nextEvent(client, 'gusher.multi_subscribe_succeeded');
  client.bind('error', () => undefined);
  client.connect();
  await within(subscribed, 'the first subscriptions of gusher-js');
}

/** Disconnects and waits for the close: gusher-js needs the browser globals until then. */
async function leave(client: GusherJs): Promise<void> {
  const closed = nextEvent(client, 'closed');
  client.disconnect();
  await within(closed, 'the end of gusher-js');
}

/** Publishes until the client receives it: gusher-js does not report the success of a single subscription. */
async function publishUntilReceived(
  gusher: RunningGusher,
  received: unknown[],
  channel: string,
  data: string,
): Promise<void> {
  await eventually(async () => {
    // The API connection may have ended with the killed worker.
    await gusher.publish(channel, 'tick', data).catch(() => undefined);
    return received.includes(data);
  }, `gusher-js receives ${data}`);
}

interface Wscat {
  prints(text: string): Promise<void>;
  end(): Promise<void>;
}

/** Connects wscat, sends the lines and stays connected. */
function openWscat(url: string, ...lines: string[]): Wscat {
  const send = lines.flatMap((line) => ['--execute', line]);
  const child = spawn(process.execPath, [WSCAT, '--wait=-1', ...send, '--connect', url], {
    // wscat exits when its standard input ends.
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return {
    prints: (text) => eventually(() => output.includes(text), `wscat prints ${text}`),
    async end() {
      const exited = once(child, 'exit');
      child.kill();
      await within(exited, 'the end of wscat');
    },
  };
}
