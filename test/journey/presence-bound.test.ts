import { expect } from 'chai';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP, pusherSdk } from '../support/pusher-app.ts';
import { connectPusher, type PusherClient } from '../support/pusher-client.ts';

const MOST = 10;

describe('Member limit of a presence channel over all workers', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;
  const clients: PusherClient[] = [];

  before(async () => {
    apps = new AppsFile({ max_presence_members: MOST });
    gusher = await startGusher({ workers: 3, env: { GUSHER_APPS_FILE: apps.path } });
  });

  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.terminate();
  });

  after(async () => {
    await gusher.stop();
    apps.remove();
  });

  async function connect(count: number): Promise<PusherClient[]> {
    const url = `${gusher.url}/app/${PUSHER_APP.key}`;
    const some = await Promise.all(Array.from({ length: count }, () => connectPusher(url, PUSHER_APP)));
    clients.push(...some);
    return some;
  }

  /** Subscribes all clients at once; returns the user ids that succeeded. */
  async function join(channel: string, some: readonly PusherClient[], prefix: string): Promise<string[]> {
    for (const [n, client] of some.entries()) client.sendSubscribe(channel, `{"user_id":"${prefix}${n}"}`);
    const answers = await Promise.all(some.map((client) => client.next()));
    return answers.flatMap(({ event }, n) =>
      event === 'pusher_internal:subscription_succeeded' ? [`${prefix}${n}`] : [],
    );
  }

  for (const [present, coming] of [
    [1, 10],
    [1, 40],
    [9, 2],
  ] as const) {
    it(`accepts exactly the limit if ${present} members exist and ${coming} subscribe at once`, async () => {
      for (let round = 0; round < 3; round += 1) {
        const channel = `presence-${present}-${coming}-${round}`;
        const early = await connect(present);
        const [watcher] = early;
        for (const [n, client] of early.entries()) await client.subscribe(channel, { user_id: `early${n}` });
        const inside = await join(channel, await connect(coming), 'u');
        expect(inside).to.have.length(MOST - present);
        await pusherSdk(gusher.api).trigger(channel, 'end', 1);
        await watcher?.until('end', channel);
        const received = watcher?.texts.map((text) => JSON.parse(text)) ?? [];
        const users = received.flatMap(({ event, data }) =>
          /member_(?:added|removed)$/.test(event) ? [`${event} ${JSON.parse(data).user_id}`] : [],
        );
        const expected = [...early.slice(1).map((_, n) => `early${n + 1}`), ...inside];
        expect(users.toSorted()).to.deep.equal(
          expected.map((user) => `pusher_internal:member_added ${user}`).toSorted(),
        );
      }
    });
  }
});
