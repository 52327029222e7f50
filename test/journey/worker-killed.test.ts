import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { isAlive } from '../support/processes.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const CLIENTS = 40;
/** The race that failed once has a short window. */
const ROUNDS = 5;

describe('Worker killed under traffic', () => {
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({ workers: 2, env: { GUSHER_HEADERS_TIMEOUT_MS: '20000' } });
  });

  after(() => gusher.stop());

  it('disconnects only its own clients and is replaced within a second', async () => {
    const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
    const traffic = new Traffic(gusher, 'news');
    await traffic.goOn(30);

    const [victim] = gusher.workerPids as [number];
    const killedAt = performance.now();
    process.kill(victim, 'SIGKILL');
    await gusher.log(
      (line) => line.event === 'worker_ready' && gusher.workerPids.length === 3,
      'a new worker',
    );
    const replacedMs = performance.now() - killedAt;
    await traffic.goOn(30);
    const last = await traffic.stop();

    const lost = subscribers.filter(({ client }) => client.socket.readyState !== client.socket.OPEN);
    const cached = subscribers.filter((subscriber) => !lost.includes(subscriber));
    expect(lost).to.have.lengthOf(CLIENTS / 2);
    for (const { client } of lost) expect(await client.closed).to.have.property('code', 1006);
    for (const subscriber of cached) {
      await subscriber.hasReceived(last);
      expect(traffic.isComplete(subscriber.received)).to.equal(undefined);
    }
    const back = await Subscriber.connectMany(lost.length, gusher.clientUrl(), 'news');
    await gusher.publish('news', 'tick', 'welcome back');
    await Promise.all([...cached, ...back].map((subscriber) => subscriber.hasReceived('welcome back')));
    disconnectAll([...cached, ...back]);
    // The promise is one second; the bound allows for a busy machine.
    expect(replacedMs).to.be.below(10_000);
    const exit = gusher.logs.find((line) => line.event === 'worker_exited');
    expect(exit).to.include({ level: 'error', signal: 'SIGKILL', respawnInMs: 0 });
  });

  it('serves API requests all the time on the same port', async () => {
    const { length: ready } = gusher.workerPids;
    process.kill(gusher.workerPids.at(-1) as number, 'SIGKILL');
    let answered = 0;
    await eventually(async () => {
      const response = await fetch(`${gusher.api}/readyz`, { headers: { Connection: 'close' } });
      expect(response.status).to.equal(200);
      await response.text();
      answered += 1;
      return gusher.workerPids.length > ready;
    }, 'there is a new worker');
    expect(answered).to.be.above(0);
  });

  it('queues clients that connect while no worker runs', async () => {
    for (let round = 1; round <= ROUNDS; round += 1) {
      const { length: ready } = gusher.workerPids;
      const killed = gusher.workerPids.filter(isAlive);
      expect(killed).to.have.lengthOf(2);
      for (const pid of killed) process.kill(pid, 'SIGKILL');
      const clients = await Promise.all(Array.from({ length: 20 }, () => connectClient(gusher.clientUrl())));
      const replies = await Promise.all(clients.map((client) => client.request('gusher.ping')));
      for (const { event } of replies) expect(event).to.equal('gusher.pong_succeeded');
      for (const client of clients) client.socket.terminate();
      await eventually(() => gusher.workerPids.length === ready + 2, 'both workers are ready');
    }
  });
});

/** Publishes consecutive numbers until stopped. */
class Traffic {
  readonly #gusher: RunningGusher;
  readonly #channel: string;
  readonly #accepted: number[] = [];
  readonly #running: Promise<void>;
  #next = 0;
  #stopped = false;

  constructor(gusher: RunningGusher, channel: string) {
    this.#gusher = gusher;
    this.#channel = channel;
    this.#running = this.#run();
  }

  async goOn(forMessages: number): Promise<void> {
    const until = this.#accepted.length + forMessages;
    await eventually(() => this.#accepted.length >= until, `${forMessages} more messages were published`);
  }

  /** Stops; returns the last accepted number. */
  async stop(): Promise<number> {
    this.#stopped = true;
    await this.#running;
    return this.#accepted.at(-1) ?? -1;
  }

  /** Describes an error in a client's messages: they must be the accepted ones, once and in order. */
  isComplete(received: readonly unknown[]): string | undefined {
    for (const [index, data] of received.entries()) {
      if (index > 0 && Number(data) <= Number(received[index - 1]))
        return `${data} after ${received[index - 1]}`;
    }
    const missing = this.#accepted.filter((number) => !received.includes(number));
    return missing.length > 0 ? `${missing} are missing` : undefined;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const number = this.#next++;
      // A request to the killed worker fails; its message may or may not be published.
      const response = await this.#gusher.publish(this.#channel, 'tick', number).catch(() => undefined);
      await response?.text().catch(() => undefined);
      if (response?.status === 200) this.#accepted.push(number);
    }
  }
}
