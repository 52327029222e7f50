import { expect } from 'chai';
import { IdempotencyStore } from '../../src/primary/idempotency-store.ts';
import type { ToWorker } from '../../src/shared/ipc/messages.ts';

describe('IdempotencyStore', () => {
  let now: number;
  let received: string[];
  let store: IdempotencyStore;

  beforeEach(() => {
    now = 0;
    received = [];
    store = new IdempotencyStore({
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
    store.receive(slot, { type: 'idempotencyClaim', id, key, fingerprint });
  const complete = (slot: number, answer: string | undefined, key = 'k'): void =>
    store.receive(slot, { type: 'idempotencyCompleted', key, answer });

  it('grants a key to the first claim, and answers later claims', () => {
    claim(0, 1);
    complete(0, 'A');
    claim(1, 1);
    claim(0, 2);
    expect(received).to.deep.equal(['0/1 acquired', '1/1 completed A', '0/2 completed A']);
  });

  it('makes claims wait while the request is executed', () => {
    claim(0, 1);
    claim(1, 1);
    claim(1, 2);
    expect(received).to.deep.equal(['0/1 acquired']);
    complete(0, 'A');
    expect(received.slice(1)).to.deep.equal(['1/1 completed A', '1/2 completed A']);
  });

  it('grants the key to the next claim if the request fails or its worker exits', () => {
    claim(0, 1);
    claim(1, 1);
    claim(0, 2);
    claim(2, 1);
    complete(0, undefined);
    expect(received.slice(1)).to.deep.equal(['1/1 acquired']);
    store.dropWorker(1);
    expect(received.slice(2)).to.deep.equal(['0/2 acquired']);
    complete(0, 'A');
    expect(received.slice(3)).to.deep.equal(['2/1 completed A']);
  });

  it('drops the waiting claims of a worker that exited', () => {
    claim(0, 1);
    claim(1, 1);
    store.dropWorker(1);
    complete(0, 'A');
    expect(received).to.deep.equal(['0/1 acquired']);
  });

  it('rejects a key of another request, during its execution and after it', () => {
    claim(0, 1);
    claim(1, 1, 'k', 'other');
    complete(0, 'A');
    claim(1, 2, 'k', 'other');
    expect(received).to.deep.equal(['0/1 acquired', '1/1 mismatch', '1/2 mismatch']);
  });

  it('reserves a key with an unknown outcome for the same request', () => {
    claim(0, 1);
    store.receive(0, { type: 'idempotencyCompleted', key: 'k', answer: undefined, isUnknown: true });
    claim(1, 1, 'k', 'other');
    claim(1, 2);
    complete(1, 'A');
    claim(0, 2);
    expect(received).to.deep.equal(['0/1 acquired', '1/1 mismatch', '1/2 acquired', '0/2 completed A']);
  });

  it('reserves the key of a worker that exited while it executed the request', () => {
    claim(0, 1);
    store.dropWorker(0);
    claim(1, 1, 'k', 'other');
    claim(1, 2);
    expect(received).to.deep.equal(['0/1 acquired', '1/1 mismatch', '1/2 acquired']);
  });

  it('keeps an answer for five minutes', () => {
    claim(0, 1);
    complete(0, 'A');
    now = 299_999;
    claim(0, 2);
    now = 300_000;
    claim(0, 3);
    expect(received).to.deep.equal(['0/1 acquired', '0/2 completed A', '0/3 acquired']);
  });

  it('bounds its size, and drops the oldest answer first', () => {
    const answer = 'x'.repeat(1024 * 1024);
    for (let n = 0; n < 40; n += 1) {
      claim(0, n, `k${n}`);
      complete(0, answer, `k${n}`);
    }
    received = [];
    claim(0, 100, 'k0');
    claim(0, 101, 'k39');
    expect(received.map((text) => text.slice(0, 17))).to.deep.equal(['0/100 acquired', '0/101 completed x']);
  });
});
