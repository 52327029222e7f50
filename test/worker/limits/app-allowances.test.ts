import { expect } from 'chai';
import { AllowanceServer } from '../../../src/primary/limits/allowance-server.ts';
import { PresenceRegistry } from '../../../src/primary/presence/registry.ts';
import { GusherError } from '../../../src/shared/errors/catalogue.ts';
import type { ToPrimary, ToWorker } from '../../../src/shared/ipc/messages.ts';
import { createStats } from '../../../src/shared/metrics/stats.ts';
import { Connection } from '../../../src/worker/connection/connection.ts';
import type { FanOut } from '../../../src/worker/hub/fan-out.ts';
import { Hub } from '../../../src/worker/hub/hub.ts';
import { PresenceReporter } from '../../../src/worker/ipc/presence-reporter.ts';
import { AppAllowances } from '../../../src/worker/limits/app-allowances.ts';
import { SeededRandom } from '../../support/seeded-random.ts';

const APP = 'shop';
const NO_LIMIT = 1_000_000_000;

interface Limits {
  channels: number;
  subscriptions: number;
  nameBytes: number;
}

/** The allowances of some workers, connected to a primary by queues that deliver one message per turn. */
class Host {
  readonly limits: Limits;
  readonly registry = new PresenceRegistry();
  readonly server: AllowanceServer;
  readonly workers: HostWorker[] = [];

  constructor(limits: Partial<Limits>, workers: number) {
    this.limits = { channels: NO_LIMIT, subscriptions: NO_LIMIT, nameBytes: NO_LIMIT, ...limits };
    this.server = new AllowanceServer({
      registry: this.registry,
      nameBytesOf: (app) => this.registry.nameBytesOf(app),
      workers,
    });
    for (let count = 0; count < workers; count += 1)
      this.workers.push(new HostWorker(this, `worker ${count}`));
  }

  get counts(): { channels: number; subscriptions: number } {
    const { channels, subscriptions } = this.registry.app(APP)?.counts ?? { channels: 0, subscriptions: 0 };
    return { channels, subscriptions };
  }

  close(): void {
    for (const { allowances } of this.workers) allowances.close();
  }
}

class HostWorker {
  readonly allowances: AppAllowances;
  readonly hub: Hub;
  readonly name: string;
  isAlive = true;

  constructor(host: Host, name: string) {
    this.name = name;
    host.registry.addReplica(name, 'process');
    const send = (message: ToPrimary): void => {
      setImmediate(() => {
        if (!this.isAlive) return;
        if (message.type === 'presence') host.registry.change(name, message.deltas);
        else if (message.type === 'allowanceRequest' || message.type === 'allowanceHeld')
          host.server.receive(name, message);
      });
    };
    host.server.open(name, (message: ToWorker) => {
      const isAllowance = message.type === 'allowanceGrant' || message.type === 'allowanceRecall';
      if (isAllowance) setImmediate(() => this.allowances.receive(message));
    });
    const presence = new PresenceReporter({
      send,
      scheduleFlush: () => setImmediate(() => presence.flush()),
    });
    const stats = createStats();
    this.allowances = new AppAllowances({
      readLimits: async () => ({ ...host.limits }),
      send,
      flushReports: () => presence.flush(),
    });
    const broker = { subscribe: () => Promise.resolve(), unsubscribe: () => undefined };
    const fanOut = { enter: () => undefined, enterFromNow: () => undefined, leave: () => undefined };
    this.hub = new Hub({
      broker,
      fanOut: fanOut as unknown as FanOut,
      presence,
      appAllowances: this.allowances,
      stats,
    });
  }

  connect(): Connection {
    this.#lastId += 1;
    const identity = { id: `${this.name} ${this.#lastId}`, appKey: APP, userId: `user-${this.#lastId}` };
    const protocol = { name: 'gusher' };
    const connection = new Connection(identity, {} as never, protocol as never, {} as never);
    this.hub.add(connection);
    return connection;
  }

  #lastId = 0;

  /** Subscribes as the protocols do, and returns the error code. */
  async subscribe(connection: Connection, channel: string, isPending = false): Promise<string> {
    const { hub } = this;
    try {
      await hub.runWithin(connection, [channel], () =>
        isPending ? hub.subscribePending(connection, channel) : hub.subscribe(connection, channel),
      );
      if (isPending) hub.activate(connection, channel);
      return 'subscribed';
    } catch (error) {
      if (error instanceof GusherError) return error.code;
      throw error;
    }
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

describe('AppAllowances', () => {
  let host: Host;

  afterEach(() => host.close());

  it('admit the whole limit on one worker, while others hold a part of it', async () => {
    host = new Host({ channels: 20 }, 4);
    const connections = host.workers.map((worker) => worker.connect());
    const subscribe = (index: number, channel: string): Promise<string> =>
      (host.workers[index] as HostWorker).subscribe(connections[index] as Connection, channel);
    for (let index = 0; index < 4; index += 1) {
      expect(await subscribe(index, `first-${index}`)).to.equal('subscribed');
    }
    for (let count = 4; count < 20; count += 1) {
      expect(await subscribe(2, `room-${count}`), `channel ${count}`).to.equal('subscribed');
    }
    for (let index = 0; index < 4; index += 1) {
      expect(await subscribe(index, 'one-too-many')).to.equal('channels_full');
    }
    await settled();
    expect(host.counts.channels).to.equal(20);
  });

  it('admit a channel that the app has already, on a full host and on another worker', async () => {
    host = new Host({ channels: 2 }, 2);
    const [one, other] = host.workers as [HostWorker, HostWorker];
    const first = one.connect();
    for (const channel of ['a', 'b']) expect(await one.subscribe(first, channel)).to.equal('subscribed');
    const second = other.connect();
    expect(await other.subscribe(second, 'c')).to.equal('channels_full');
    expect(await other.subscribe(second, 'b')).to.equal('subscribed');
    await settled();
    expect(host.counts).to.deep.equal({ channels: 2, subscriptions: 3 });
  });

  it('admit a swap of channels at the limit at once', async () => {
    host = new Host({ channels: 3, subscriptions: 3 }, 2);
    const [worker] = host.workers as [HostWorker];
    const connection = worker.connect();
    for (const channel of ['a', 'b', 'c']) await worker.subscribe(connection, channel);
    for (let round = 0; round < 20; round += 1) {
      expect(await worker.subscribe(connection, 'full')).to.match(/_full$/);
      worker.hub.unsubscribe(connection, round % 2 === 0 ? 'c' : 'd');
      expect(await worker.subscribe(connection, round % 2 === 0 ? 'd' : 'c')).to.equal('subscribed');
    }
  });

  it('apply a changed limit to new subscriptions', async () => {
    host = new Host({ channels: 2 }, 2);
    const [worker] = host.workers as [HostWorker];
    const connection = worker.connect();
    for (const channel of ['a', 'b']) await worker.subscribe(connection, channel);
    host.limits.channels = 3;
    await new Promise((resolve) => setTimeout(resolve, 520));
    expect(await worker.subscribe(connection, 'c')).to.equal('subscribed');
    host.limits.channels = 1;
    await new Promise((resolve) => setTimeout(resolve, 520));
    worker.hub.unsubscribe(connection, 'c');
    expect(await worker.subscribe(connection, 'd')).to.equal('channels_full');
  });

  it('free the allowances of a worker whose process ends', async () => {
    host = new Host({ subscriptions: 12 }, 3);
    const [one, other] = host.workers as [HostWorker, HostWorker];
    for (let count = 0; count < 4; count += 1) await other.subscribe(other.connect(), 'room');
    await settled();
    other.isAlive = false;
    host.registry.dropProcess(other.name);
    host.server.close(other.name);
    const outcomes: string[] = [];
    for (let count = 0; count < 14; count += 1) outcomes.push(await one.subscribe(one.connect(), 'room'));
    expect(outcomes.filter((outcome) => outcome === 'subscribed')).to.have.length(12);
    expect(outcomes.at(-1)).to.equal('subscriptions_full');
  });

  it('limit the names of an app to its share', async () => {
    host = new Host({ nameBytes: 50_000 }, 2);
    const [one, other] = host.workers as [HostWorker, HostWorker];
    let accepted = 0;
    for (const worker of [one, other]) {
      const connection = worker.connect();
      for (let count = 0; count < 40; count += 1) {
        const outcome = await worker.subscribe(connection, `${worker.name}-${count}`.padEnd(200, 'x'));
        if (outcome === 'subscribed') accepted += 1;
        else expect(outcome).to.equal('names_full');
      }
    }
    await settled();
    expect(accepted).to.be.greaterThan(15);
    expect(host.registry.nameBytesOf(APP)).to.be.at.most(50_000).and.greaterThan(46_000);
  });

  it('reach a limit and never exceed it, with random changes on three workers at once', async () => {
    const random = new SeededRandom(Number(process.env.SEED ?? 7));
    const below = (max: number): number => random.below(max);
    host = new Host({ channels: 8, subscriptions: 30 }, 3);
    const open: { worker: HostWorker; connection: Connection; channels: Set<string> }[] = [];
    let running = 0;
    for (let step = 0; step < 4_000; step += 1) {
      if (open.length < 12) {
        const worker = host.workers[below(3)] as HostWorker;
        open.push({ worker, connection: worker.connect(), channels: new Set() });
      }
      const client = open[below(open.length)] as (typeof open)[number];
      const channel = `room-${below(14)}`;
      const action = below(10);
      if (action < 6) {
        running += 1;
        void client.worker.subscribe(client.connection, channel, action < 3).finally(() => {
          running -= 1;
        });
      } else if (action < 9) client.worker.hub.unsubscribe(client.connection, channel);
      else {
        client.worker.hub.remove(client.connection);
        open.splice(open.indexOf(client), 1);
      }
      if (step % 3 === 0) await new Promise(setImmediate);
      expect(host.counts.channels, `channels at step ${step}`).to.be.at.most(8);
      expect(host.counts.subscriptions, `subscriptions at step ${step}`).to.be.at.most(30);
    }
    while (running > 0) await settled();
    for (const { worker, connection } of open) worker.hub.remove(connection);
    await settled();
    expect(host.counts).to.deep.equal({ channels: 0, subscriptions: 0 });
    const [, last] = host.workers as [HostWorker, HostWorker];
    const connection = last.connect();
    const outcomes: string[] = [];
    for (let count = 0; count < 9; count += 1)
      outcomes.push(await last.subscribe(connection, `new-${count}`));
    expect(outcomes).to.deep.equal([...Array<string>(8).fill('subscribed'), 'channels_full']);
  });
});
