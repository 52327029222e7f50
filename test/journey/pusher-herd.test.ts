import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP } from '../support/pusher-app.ts';
import { openPusherSocket, type PusherClient } from '../support/pusher-client.ts';

/** By hand: HERD=5000 HERD_PER_SECOND=500. */
const HERD = Number(process.env.HERD ?? 300);
const PER_SECOND = Number(process.env.HERD_PER_SECOND ?? 100);
/** What may come at once, in seconds' worth. */
const BURST_S = 0.1;

const { key } = PUSHER_APP;
/** What a client that has subscribed to a private channel costs its app: a call to the auth endpoint. */
const authCalls: number[] = [];

/** Reconnects as pusher-js does (§3): at once after 42xx, a second later after 41xx and ordinary closes, never after 40xx. */
class HerdMember {
  readonly #url: string;
  readonly attempts: number[] = [];
  establishedAt = 0;
  gaveUp = false;
  client: PusherClient | undefined;
  #ended = false;

  constructor(url: string) {
    this.#url = url;
  }

  async connect(): Promise<void> {
    while (!this.#ended) {
      this.establishedAt = 0;
      this.attempts.push(performance.now());
      const client = await openPusherSocket(this.#url, PUSHER_APP).catch(() => undefined);
      this.client = client;
      if (client === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        continue;
      }
      const first = await client.next().catch(() => undefined);
      if (first?.event === 'pusher:connection_established') {
        this.establishedAt = performance.now();
        client.socketId = JSON.parse(first.data).socket_id;
        authCalls.push(performance.now());
        client.askToSubscribe('private-herd');
      }
      const { code } = await client.closed;
      if (code >= 4000 && code < 4100) {
        this.gaveUp = true;
        return;
      }
      if (code < 4200) await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }

  leave(): void {
    this.#ended = true;
    this.client?.socket.terminate();
  }
}

describe('a herd of Pusher clients that is dropped at once', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;
  const herd: HerdMember[] = [];

  before(async () => {
    apps = new AppsFile();
    gusher = await startGusher({
      workers: 2,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_PUSHER_CONNECTS_PER_SECOND: String(PER_SECOND),
      },
    });
  });

  after(async () => {
    for (const member of herd) member.leave();
    await gusher.stop('SIGINT');
    apps.remove();
  });

  it('comes back at no more than the configured rate, and nobody gives up', async function () {
    this.timeout(60_000 + (4 * HERD * 1_000) / PER_SECOND);
    for (let n = 0; n < HERD; n += 1) herd.push(new HerdMember(`${gusher.url}/app/${key}?protocol=7`));
    const everybody = (): boolean => herd.every(({ establishedAt }) => establishedAt > 0);
    const deadlineMs = 30_000 + (2 * HERD * 1_000) / PER_SECOND;
    for (const member of herd) void member.connect();
    await eventually(everybody, 'all are there at first', deadlineMs);

    // All of them, in one moment, as when a host is lost.
    authCalls.length = 0;
    const droppedAt = performance.now();
    for (const { client } of herd) client?.socket.terminate();
    await eventually(
      () => herd.every(({ establishedAt }) => establishedAt > droppedAt),
      'all are back',
      deadlineMs,
    );

    // Noise makes things late, never early. So each is told to be no earlier than its place at that rate.
    const times = herd.map(({ establishedAt }) => establishedAt).sort((one, other) => one - other);
    for (const moments of [times, authCalls]) {
      for (const [index, at] of moments.entries()) {
        expect(index + 1).to.be.at.most(PER_SECOND * ((at - droppedAt) / 1_000 + BURST_S) + 1);
      }
    }
    expect(herd.filter(({ gaveUp }) => gaveUp)).to.deep.equal([]);
    // Each tries once in a second at most, whatever it is told.
    const since = herd.map(({ attempts }) => attempts.filter((at) => at > droppedAt));
    const tookMs = (times.at(-1) ?? 0) - droppedAt;
    for (const attempts of since) expect(attempts.length).to.be.at.most(2 + tookMs / 1_000);
    if (process.env.HERD !== undefined) {
      const attempts = since.flat();
      console.log({
        tookMs,
        mostEstablished: mostWithin(times, 1_000),
        attempts: attempts.length,
        mostAttempts: mostWithin(attempts, 1_000),
      });
    }
  });

  it('is not met by somebody who comes alone: there is no delay', async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const waits: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      const client = await openPusherSocket(`${gusher.url}/app/${key}`, PUSHER_APP);
      const openAt = performance.now();
      await client.expectData('pusher:connection_established');
      waits.push(performance.now() - openAt);
      await client.close();
    }
    // A noisy machine apart, the answer comes with the handshake.
    expect(Math.min(...waits)).to.be.lessThan(100);
  });
});

/** The most of the times that lie in any window of that length. */
function mostWithin(times: readonly number[], windowMs: number): number {
  const sorted = [...times].sort((one, other) => one - other);
  let most = 0;
  let start = 0;
  for (const [end, time] of sorted.entries()) {
    while (time - (sorted[start] ?? 0) >= windowMs) start += 1;
    most = Math.max(most, end - start + 1);
  }
  return most;
}
