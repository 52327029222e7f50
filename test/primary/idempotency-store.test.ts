import { expect } from 'chai';
import { IdempotencyStore } from '../../src/primary/idempotency-store.ts';
import type { ToWorker } from '../../src/shared/ipc/messages.ts';

describe('the idempotency ledger', () => {
  let now: number;
  let received: string[];
  let ledger: IdempotencyStore;

  beforeEach(() => {
    now = 0;
    received = [];
    ledger = new IdempotencyStore({
      now: () => now,
      send: (slot: number, message: ToWorker) => {
        if (message.type !== 'idempotencyResult') throw new Error(message.type);
        const { result, id } = message;
        received.push(
          `${slot}/${id} ${result.kind}${result.kind === 'completed' ? ` ${result.answer}` : ''}`,
        );
      },
    });
  });

  const claim = (slot: number, id: number, key = 'k', fingerprint = 'f'): void =>
    ledger.receive(slot, { type: 'idempotencyClaim', id, key, fingerprint });
  const settle = (slot: number, answer: string | undefined, key = 'k'): void =>
    ledger.receive(slot, { type: 'idempotencyCompleted', key, answer });

  it('gives a key to the first who claims it, and its answer to everybody after', () => {
    claim(0, 1);
    settle(0, 'A');
    claim(1, 1);
    claim(0, 2);
    expect(received).to.deep.equal(['0/1 yours', '1/1 done A', '0/2 done A']);
  });

  it('lets those wait who come while the work is being done', () => {
    claim(0, 1);
    claim(1, 1);
    claim(1, 2);
    expect(received).to.deep.equal(['0/1 yours']);
    settle(0, 'A');
    expect(received.slice(1)).to.deep.equal(['1/1 done A', '1/2 done A']);
  });

  it('gives the key to the next when the work failed, or the worker died', () => {
    claim(0, 1);
    claim(1, 1);
    claim(0, 2);
    claim(2, 1);
    settle(0, undefined);
    expect(received.slice(1)).to.deep.equal(['1/1 yours']);
    ledger.dropWorker(1);
    expect(received.slice(2)).to.deep.equal(['0/2 yours']);
    settle(0, 'A');
    expect(received.slice(3)).to.deep.equal(['2/1 done A']);
  });

  it('forgets those of a dead worker who wait', () => {
    claim(0, 1);
    claim(1, 1);
    ledger.dropWorker(1);
    settle(0, 'A');
    expect(received).to.deep.equal(['0/1 yours']);
  });

  it('refuses a key for another request, while the work is done and after', () => {
    claim(0, 1);
    claim(1, 1, 'k', 'other');
    settle(0, 'A');
    claim(1, 2, 'k', 'other');
    expect(received).to.deep.equal(['0/1 yours', '1/1 mismatch', '1/2 mismatch']);
  });

  it('keeps a key whose outcome is unknown for a repeat of the same request', () => {
    claim(0, 1);
    ledger.receive(0, { type: 'idempotencyCompleted', key: 'k', answer: undefined, isUnknown: true });
    claim(1, 1, 'k', 'other');
    claim(1, 2);
    settle(1, 'A');
    claim(0, 2);
    expect(received).to.deep.equal(['0/1 yours', '1/1 mismatch', '1/2 yours', '0/2 done A']);
  });

  it('keeps the key of a worker that died while it did the work', () => {
    claim(0, 1);
    ledger.dropWorker(0);
    claim(1, 1, 'k', 'other');
    claim(1, 2);
    expect(received).to.deep.equal(['0/1 yours', '1/1 mismatch', '1/2 yours']);
  });

  it('remembers for five minutes', () => {
    claim(0, 1);
    settle(0, 'A');
    now = 299_999;
    claim(0, 2);
    now = 300_000;
    claim(0, 3);
    expect(received).to.deep.equal(['0/1 yours', '0/2 done A', '0/3 yours']);
  });

  it('remembers no more than fits, and forgets the oldest first', () => {
    const answer = 'x'.repeat(1024 * 1024);
    for (let n = 0; n < 40; n += 1) {
      claim(0, n, `k${n}`);
      settle(0, answer, `k${n}`);
    }
    received = [];
    claim(0, 100, 'k0');
    claim(0, 101, 'k39');
    expect(received.map((text) => text.slice(0, 12))).to.deep.equal(['0/100 yours', '0/101 done x']);
  });
});
