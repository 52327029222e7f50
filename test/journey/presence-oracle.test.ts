import { expect } from 'chai';
import { WebSocket } from 'ws';
import { type Client, connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { IdentityServer } from '../support/identity-server.ts';
import {
  type Answers,
  differences,
  type ModelClient,
  membersSeenBy,
  PresenceModel,
  queryAll,
} from '../support/presence-model.ts';
import { childrenOf } from '../support/processes.ts';
import { connectPusher, type PusherClient } from '../support/pusher-client.ts';
import { RedisServer } from '../support/redis-server.ts';
import { SeededRandom } from '../support/seeded-random.ts';

/** Long run: GUSHER_ORACLE_SECONDS=60 GUSHER_ORACLE_SEED=7 npx mocha dist/test/journey/presence-oracle.test.js */
const SECONDS = Number(process.env.GUSHER_ORACLE_SECONDS ?? 8);
const SEED = Number(process.env.GUSHER_ORACLE_SEED ?? 1);

/** Minimum number of steps on a slow machine. */
const MIN_STEPS = 15;

const APPS = ['board', 'shop'];
/** The channel in which a Pusher client at each host watches joins and leaves. */
const HALL = 'presence-hall';
const PUSHER = { app: 'shop', id: '77', secret: 's3cr3t' };
const CHANNELS = ['lounge', HALL, 'room-a', 'room-b', 'room-c', 'zoo'];
const USERS = ['', 'ann', 'bob', 'cid', 'dan', 'eve', 'fay'];
const CLIENTS_MAX = 40;
/** The documented time after which the users of a killed host are removed. */
const DEAD_HOST_MS = 10_000;

interface NativeClient extends ModelClient {
  readonly client: Client;
}

describe(`Presence compared with a model (seed ${SEED}, ${SECONDS} s)`, () => {
  const random = new SeededRandom(SEED);
  const natives: NativeClient[] = [];
  const model = new PresenceModel(APPS, CHANNELS);
  const hosts: RunningGusher[] = [];
  const watchers = new Map<RunningGusher, PusherClient>();
  let watcherCount = 0;
  /** The steps so far, the latest last. */
  const done: string[] = [];
  let redis: RedisServer;
  let identities: IdentityServer;

  before(async () => {
    redis = await RedisServer.start();
    identities = await IdentityServer.start();
    for (const app of APPS) await redis.command('HSET', app, 'url', identities.url, 'channels', '["*"]');
    await redis.command('HSET', PUSHER.app, 'id', PUSHER.id, 'secret', PUSHER.secret);
    for (let count = 0; count < 2; count += 1) hosts.push(await startHost());
  });

  after(async () => {
    for (const { client } of model.clients) client.socket.terminate();
    await Promise.all(hosts.map((host) => host.stop()));
    identities.stop();
    await redis.stop();
  });

  function startHost(): Promise<RunningGusher> {
    return startGusher({ workers: 2, redisUrl: redis.url });
  }

  /** Compares every query with the model at once: for changes that the host itself has confirmed. */
  async function expectExact(host: RunningGusher): Promise<void> {
    const expected = model.answers();
    expect(differences(await answersOf(host, expected), expected), story()).to.deep.equal([]);
  }

  /** Waits until every host's responses equal the model's. */
  async function expectAgreement(timeoutMs = 5_000): Promise<void> {
    await Promise.all(
      hosts.map(async (host, number) => {
        let wrong: string[] = [];
        const agrees = async (): Promise<boolean> => {
          const expected = model.answers();
          // A killed worker drops the requests that it was processing.
          const received = await answersOf(host, expected).catch(() => ({}));
          wrong = [...differences(received, expected), ...watcherErrors(watchers.get(host))];
          return wrong.length === 0;
        };
        await eventually(agrees, `host ${number} agrees`, timeoutMs).catch((error: Error) => {
          throw new Error(`${error.message}: ${wrong.slice(0, 5).join('\n')}\n${story()}`);
        });
      }),
    );
  }

  /** Compares the messages of a watcher with the model. A watcher whose worker was killed receives nothing more. */
  function watcherErrors(watcher: PusherClient | undefined): string[] {
    if (watcher === undefined || !isOpen(watcher)) return [];
    const { members, errors } = membersSeenBy(watcher.texts, HALL);
    expect(errors, `doubled or missed: ${story()}`).to.deep.equal([]);
    const expected = model.membersOf(PUSHER.app, HALL);
    if (members.join() === expected.join()) return [];
    return [`a watcher received ${members}, expected ${expected}`];
  }

  /** Connects a watcher at every host that has none. */
  async function watch(): Promise<void> {
    for (const host of hosts) {
      if (isOpen(watchers.get(host))) continue;
      const credentials = { key: PUSHER.app, secret: PUSHER.secret };
      const client = await connectPusher(`${host.url}/app/${PUSHER.app}?protocol=7`, credentials);
      watcherCount += 1;
      const member = `watcher-${watcherCount}`;
      done.push(`${member} joins host ${hosts.indexOf(host)}`);
      await client.subscribe(HALL, { user_id: member });
      watchers.set(host, client);
      model.clients.push({ client, app: PUSHER.app, user: '', member, channels: new Set([HALL]) });
    }
  }

  function answersOf(host: RunningGusher, expected: Answers): Promise<Answers> {
    return queryAll(host.api, Object.keys(expected));
  }

  function story(): string {
    return `seed ${SEED}, after ${done.length} steps, the last of them: ${done.slice(-8).join('; ')}`;
  }

  async function connect(host: RunningGusher): Promise<NativeClient> {
    const app = random.pick(APPS);
    const user = random.pick(USERS);
    done.push(`${user || 'anonymous'} connects to ${app} at host ${hosts.indexOf(host)}`);
    const client = await connectClient(host.clientUrl(app, user === '' ? '' : `?auth=${user}`));
    // The reply proves that the worker has registered the client.
    await client.request('gusher.ping', {});
    const native = { client, app, user, channels: new Set<string>() };
    model.clients.push(native);
    natives.push(native);
    return native;
  }

  async function subscribe({ client, channels, user }: NativeClient): Promise<void> {
    const channel = random.pick(CHANNELS);
    done.push(`${user || 'anonymous'} subscribes to ${channel}`);
    await client.subscribe(channel);
    channels.add(channel);
  }

  async function unsubscribe({ client, channels, user }: NativeClient): Promise<void> {
    const channel = random.pick(CHANNELS);
    done.push(`${user || 'anonymous'} unsubscribes from ${channel}`);
    await client.request('gusher.unsubscribe', { channel });
    channels.delete(channel);
  }

  async function leave({ client, user }: NativeClient): Promise<void> {
    done.push(`${user || 'anonymous'} leaves`);
    if (random.next() < 0.5) await client.close();
    else client.socket.terminate();
    await within(client.closed, 'the end of a client');
  }

  /** Runs many changes at once, in an order that the test does not know. */
  async function storm(host: RunningGusher): Promise<void> {
    const comings = Array.from({ length: 8 }, async () => {
      const client = await connect(host);
      await subscribe(client);
    });
    const goings = present().slice(0, 6).map(leave);
    await Promise.all([...comings, ...goings]);
  }

  async function killWorker(host: RunningGusher): Promise<void> {
    const pid = random.pick(childrenOf(host.process.pid as number));
    done.push(`worker ${pid} of host ${hosts.indexOf(host)} is killed`);
    const ready = host.workerPids.length;
    process.kill(pid, 'SIGKILL');
    await expectAgreement();
    await eventually(() => host.workerPids.length > ready, 'the worker is replaced');
  }

  async function killHost(host: RunningGusher): Promise<void> {
    const number = hosts.indexOf(host);
    done.push(`host ${number} is killed`);
    const workers = childrenOf(host.process.pid as number);
    for (const pid of [host.process.pid as number, ...workers]) process.kill(pid, 'SIGKILL');
    await host.end();
    hosts.splice(number, 1);
    await expectAgreement(DEAD_HOST_MS);
    hosts.splice(number, 0, await startHost());
    done.push(`host ${number} is started again`);
    await expectAgreement();
  }

  function present(): NativeClient[] {
    return natives.filter(({ client }) => isOpen(client));
  }

  async function step(): Promise<void> {
    const dice = random.next();
    const host = random.pick(hosts);
    const here = present();
    if (dice < 0.04) return killWorker(host);
    if (dice < 0.08) return storm(host);
    if (here.length === 0 || (dice < 0.35 && here.length < CLIENTS_MAX)) {
      await connect(host);
      return expectExact(host);
    }
    const client = random.pick(here);
    if (dice < 0.45) return leave(client);
    await (dice < 0.8 ? subscribe(client) : unsubscribe(client));
    await expectExact(hostOf(client));
  }

  function hostOf({ client }: NativeClient): RunningGusher {
    const host = hosts.find(({ url }) => client.socket.url.startsWith(`${url}/`));
    if (host === undefined) throw new Error('a client of no host is open');
    return host;
  }

  it('matches after every step', async () => {
    const until = performance.now() + SECONDS * 1_000;
    const nextHostDeath = (): number => performance.now() + 15_000 + random.below(10_000);
    let hostDeathAt = nextHostDeath();
    while (performance.now() < until || done.length < MIN_STEPS) {
      if (performance.now() > hostDeathAt) {
        await killHost(random.pick(hosts));
        hostDeathAt = nextHostDeath();
      } else {
        await step();
      }
      await watch();
      await expectAgreement();
    }
  }).timeout((SECONDS + 90) * 1_000);

  it('matches within ten seconds after a host is killed, and after it has restarted', async () => {
    for (const host of hosts) await subscribe(await connect(host));
    await killHost(random.pick(hosts));
  });
});

function isOpen(client: { readonly socket: WebSocket } | undefined): boolean {
  return client?.socket.readyState === WebSocket.OPEN;
}
