import { expect } from 'chai';
import { GusherError } from '../../../src/shared/errors/catalogue.ts';
import { createStats } from '../../../src/shared/metrics/stats.ts';
import { CLOSED_TAP } from '../../../src/shared/tail/tap.ts';
import { Publisher } from '../../../src/worker/broker/publisher.ts';
import { type HostState, nextHostState } from '../../../src/worker/create-hub.ts';

const CONNECTED: HostState = { live: true, connected: 2, stopping: false, outages: 0 };

describe('Publisher', () => {
  /** Publishes, and changes the state of the host before the broker acknowledges. */
  async function outcomeWith(...states: readonly Omit<HostState, 'outages'>[]): Promise<string> {
    let host = CONNECTED;
    const acknowledge = async (): Promise<void> => {
      for (const state of states) host = nextHostState(host, { type: 'host', ...state });
    };
    const broker = { publish: acknowledge, broadcast: acknowledge };
    const publisher = new Publisher({
      broker,
      host: () => host,
      stats: createStats(),
      tap: CLOSED_TAP,
      admit: () => undefined,
      source: 'api',
      maxBytes: 10_000,
    });
    return publisher.publish('shop', { channel: 'news', event: 'e', data: '1' }).then(
      () => 'accepted',
      (error: unknown) => (error instanceof GusherError ? error.entry.code : String(error)),
    );
  }

  it('accepts a publication while every worker stays connected', async () => {
    expect(await outcomeWith({ live: true, connected: 3, stopping: false })).to.equal('accepted');
  });

  it('rejects with outcome_unknown if a worker lost its connection meanwhile', async () => {
    expect(await outcomeWith({ live: false, connected: 1, stopping: false })).to.equal('outcome_unknown');
  });

  it('rejects with outcome_unknown even if that worker is connected again', async () => {
    const lost = { live: false, connected: 1, stopping: false };
    expect(await outcomeWith(lost, { ...lost, live: true, connected: 2 })).to.equal('outcome_unknown');
  });

  it('accepts a publication in progress while the host stops', async () => {
    expect(await outcomeWith({ live: false, connected: 0, stopping: true })).to.equal('accepted');
  });
});
