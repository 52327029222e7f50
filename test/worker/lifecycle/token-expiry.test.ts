import { expect } from 'chai';
import { createStats } from '../../../src/shared/metrics/stats.ts';
import type { Connection } from '../../../src/worker/connection/connection.ts';
import { SendQueue } from '../../../src/worker/connection/send-queue.ts';
import type { WireProtocol } from '../../../src/worker/connection/wire-protocol.ts';
import { TokenExpiry } from '../../../src/worker/lifecycle/token-expiry.ts';
import { makeConnection, type RecordingTransport, silentProtocol } from '../../support/transport.ts';
import { noUnexpectedErrors } from '../../support/unexpected.ts';

const protocol: WireProtocol = {
  ...silentProtocol,
  encodeExpiry: (graceMs) => `expired, ${graceMs} ms left`,
};

describe('TokenExpiry', () => {
  let now: number;
  let expiry: TokenExpiry;
  let sendQueue: SendQueue;

  beforeEach(() => {
    now = 1_000_000_000;
    sendQueue = new SendQueue({ maxBytes: 100_000, stats: createStats(), scheduleFlush: () => undefined });
    expiry = new TokenExpiry({ sendQueue, graceMs: 5_000, unexpected: noUnexpectedErrors(), now: () => now });
  });
  afterEach(() => expiry.close());

  function join(expiresInMs: number | undefined): { connection: Connection; transport: RecordingTransport } {
    const made = makeConnection(protocol);
    made.connection.expiresAt = expiresInMs === undefined ? undefined : now + expiresInMs;
    expiry.track(made.connection);
    return made;
  }

  function pass(ms: number): void {
    for (const until = now + ms; now < until; ) {
      now = Math.min(now + 1_000, until);
      expiry.tick();
    }
    sendQueue.flush();
  }

  const received = ({ writes }: RecordingTransport): number => writes.flat().length;

  it('announces the expiry once, and closes the connection after the grace period', () => {
    const { transport } = join(10_000);
    pass(9_000);
    expect([received(transport), transport.closedWith]).to.deep.equal([0, undefined]);
    pass(1_000);
    expect(transport.writes).to.deep.equal([['expired, 5000 ms left']]);
    pass(4_000);
    expect([received(transport), transport.closedWith]).to.deep.equal([1, undefined]);
    pass(1_000);
    expect(transport.closedWith?.code).to.equal(4030);
  });

  it('postpones the expiry for a new token, before and after the announcement', () => {
    const { connection, transport } = join(10_000);
    pass(10_000);
    connection.expiresAt = now + 20_000;
    expiry.track(connection);
    pass(15_000);
    expect([received(transport), transport.closedWith]).to.deep.equal([1, undefined]);
    connection.expiresAt = undefined;
    expiry.track(connection);
    pass(3_600_000);
    expect([received(transport), transport.closedWith]).to.deep.equal([1, undefined]);
  });

  it('ignores tokens without expiry, and connections that are untracked', () => {
    const forever = join(undefined);
    const untracked = join(2_000);
    expiry.untrack(untracked.connection);
    pass(60_000);
    for (const { transport } of [forever, untracked]) {
      expect([received(transport), transport.closedWith]).to.deep.equal([0, undefined]);
    }
  });

  it('checks all due connections after the clock jumps', () => {
    const { transport } = join(10_000);
    now += 10 * 365 * 86_400_000;
    expiry.tick();
    expect(transport.closedWith?.code).to.equal(4030);
    const old = join(10_000);
    now -= 86_400_000;
    expiry.tick();
    expect(old.transport.closedWith).to.equal(undefined);
    now += 86_400_000;
    pass(16_000);
    expect(old.transport.closedWith?.code).to.equal(4030);
  });
});
