import { expect } from 'chai';
import { eventually, secondsTouchedSince } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP } from '../support/pusher-app.ts';
import { connectPusher, openPusherSocket, type PusherClient } from '../support/pusher-client.ts';

/** Long run: HERD=5000 HERD_PER_SECOND=500. */
const HERD = Number(process.env.HERD ?? 600);
const PER_SECOND = Number(process.env.HERD_PER_SECOND ?? 200);
/** The burst of the admission queue, in seconds of its rate. */
const BURST_S = 0.1;

const { key } = PUSHER_APP;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Reconnects like pusher-js (§3): at once after 42xx, one second later after 41xx and ordinary closes, never after
 * 40xx. It waits 15 s for a reply and then tries again. A browser that has connected within the last half
 * hour limits each first attempt: to twice its last connect time plus one second (§1).
 */
class HerdMember {
  readonly #url: string;
  readonly #isOfBrowser: boolean;
  readonly attempts: number[] = [];
  /** Number of calls to the auth endpoint: one for each subscription to a private channel. */
  authCalledAt = 0;
  establishedAt = 0;
  gaveUp = false;
  client: PusherClient | undefined;
  #ended = false;

  constructor(url: string, isOfBrowser = false) {
    this.#url = url;
    this.#isOfBrowser = isOfBrowser;
  }

  async connect(): Promise<void> {
    let isHasty = this.#isOfBrowser;
    while (!this.#ended) {
      this.establishedAt = 0;
      this.attempts.push(performance.now());
      const client = await openPusherSocket(this.#url, PUSHER_APP).catch(() => undefined);
      this.client = client;
      if (client === undefined) {
        await pause(1_000);
        continue;
      }
      const first = await client.next(isHasty ? 1_100 : 15_000).catch(() => undefined);
      isHasty = false;
      if (first === undefined && client.socket.readyState === client.socket.OPEN) {
        client.socket.close();
        continue;
      }
      if (first?.event === 'pusher:connection_established') {
        this.establishedAt = performance.now();
        client.socketId = JSON.parse(first.data).socket_id;
        this.authCalledAt = performance.now();
        client.sendSubscribe('private-herd');
      }
      const { code } = await client.closed;
      if (code >= 4000 && code < 4100) {
        this.gaveUp = true;
        return;
      }
      if (code < 4200) await pause(1_000);
    }
  }

  leave(): void {
    this.#ended = true;
    this.client?.socket.terminate();
  }
}

describe('Admission queue of Pusher clients', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;
  let url: string;
  let herd: HerdMember[] = [];

  async function start(perSecond: number, env: Readonly<Record<string, string>> = {}): Promise<void> {
    gusher = await startGusher({
      workers: 2,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_PUSHER_CONNECTS_PER_SECOND: String(perSecond),
        ...env,
      },
    });
    url = `${gusher.url}/app/${key}?protocol=7`;
  }

  function connectHerd(size: number, isOfBrowser = false): void {
    herd = Array.from({ length: size }, () => new HerdMember(url, isOfBrowser));
    for (const member of herd) void member.connect();
  }

  beforeEach(() => {
    apps = new AppsFile();
  });

  afterEach(async () => {
    for (const member of herd.splice(0)) member.leave();
    await gusher.stop('SIGINT');
    apps.remove();
  });

  const connectedSince = (since: number) => (): boolean =>
    herd.every(({ establishedAt }) => establishedAt > since);
  const timeoutMs = 30_000 + (2 * HERD * 1_000) / PER_SECOND;

  it('admits reconnecting clients at the configured rate, each at its first attempt', async function () {
    this.timeout(2 * timeoutMs);
    await start(PER_SECOND);
    connectHerd(HERD);
    await eventually(connectedSince(0), 'all clients are connected', timeoutMs);

    // Disconnects all clients in one moment, as when a host is lost.
    const droppedAt = performance.now();
    for (const { client } of herd) client?.socket.terminate();
    await eventually(connectedSince(droppedAt), 'all clients are connected again', timeoutMs);

    const established = herd.map(({ establishedAt }) => establishedAt);
    const authCalls = herd.map(({ authCalledAt }) => authCalledAt);
    const attempts = herd.map((member) => member.attempts.filter((at) => at > droppedAt));
    if (process.env.HERD !== undefined) {
      console.log({
        tookMs: Math.max(...established) - droppedAt,
        attempts: attempts.flat().length,
        mostAttemptsAfterTheFirst: mostWithin(
          attempts.flatMap((own) => own.slice(1)),
          1_000,
        ),
        mostEstablished: mostWithin(established, 1_000),
        mostAuthCalls: mostWithin(authCalls, 1_000),
      });
    }
    for (const moments of [established, authCalls]) expectNoFasterThan(PER_SECOND, moments, droppedAt);
    expect(herd.filter(({ gaveUp }) => gaveUp)).to.deep.equal([]);
    expect(attempts.filter(({ length }) => length !== 1)).to.deep.equal([]);
  });

  it('admits at the same rate if browsers limit their first attempt to one second', async () => {
    await start(100);
    const startedAt = performance.now();
    connectHerd(300, true);
    await eventually(connectedSince(0), 'all clients are connected', 20_000);
    expectNoFasterThan(
      100,
      herd.map(({ establishedAt }) => establishedAt),
      startedAt,
    );
    // An abandoned attempt holds no place: a client that waits is admitted at its second attempt.
    expect(Math.max(...herd.map(({ attempts }) => attempts.length))).to.be.at.most(2);
  });

  it('rejects clients beyond its capacity at random times, so that they do not return at once', async () => {
    await start(100, { GUSHER_PUSHER_ADMISSION_TIMEOUT_MS: '2000' });
    const startedAt = performance.now();
    // 205 clients can wait 2 s or less. The other 175 are closed with 4100 at random times within 2 s.
    connectHerd(380);
    await eventually(connectedSince(0), 'all clients are connected', 20_000);
    const again = herd.flatMap(({ attempts }) => attempts.slice(1));
    expect(again.length).to.be.within(1, 180);
    // The delays are random: 88 reconnects a second on average, and 130 are more than six standard deviations above.
    expectNoFasterThan(130, again, startedAt + 1_000);
  });

  it('rejects clients beyond the queue limit at once', async () => {
    await start(1, { GUSHER_PUSHER_ADMISSION_QUEUE_MAX: '20' });
    const begun = performance.now();
    const clients = await Promise.all(Array.from({ length: 60 }, () => openPusherSocket(url, PUSHER_APP)));
    const closed = (): PusherClient[] =>
      clients.filter(
        ({ socket, texts }) => socket.readyState !== socket.OPEN && texts.join().includes('4100'),
      );
    // 20 clients wait. Two were admitted at once and one in each second, which freed one place.
    await eventually(() => closed().length >= 38 - secondsTouchedSince(begun), 'the others are sent away');
    expect(closed().length).to.be.at.most(40);
    for (const { socket } of clients) socket.terminate();
  });

  it('processes messages that a client sends while it waits, in order', async () => {
    await start(2);
    const first = await connectPusher(url, PUSHER_APP);
    const second = await connectPusher(url, PUSHER_APP);
    const early = await openPusherSocket(url, PUSHER_APP);
    for (const channel of ['one', 'two']) early.send('pusher:subscribe', { channel });
    await early.expect('pusher:connection_established');
    await early.expect('pusher_internal:subscription_succeeded', 'one');
    await early.expect('pusher_internal:subscription_succeeded', 'two');
    for (const { socket } of [first, second, early]) socket.terminate();
  });

  it('does not delay a single client', async () => {
    await start(10);
    const waits: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      const client = await openPusherSocket(url, PUSHER_APP);
      const openAt = performance.now();
      await client.expectData('pusher:connection_established');
      waits.push(performance.now() - openAt);
      await client.close();
      await pause(200);
    }
    // The reply arrives with the handshake; the bound allows for a busy machine.
    expect(Math.min(...waits)).to.be.lessThan(100);
  });
});

/** A busy machine delays admissions but never advances them: no client may be earlier than its place. */
function expectNoFasterThan(perSecond: number, moments: readonly number[], since: number): void {
  const sorted = [...moments].sort((one, other) => one - other);
  for (const [index, at] of sorted.entries()) {
    expect(index + 1).to.be.at.most(perSecond * ((at - since) / 1_000 + BURST_S) + 2);
  }
}

/** Returns the maximum number of times within a window of that length. */
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
