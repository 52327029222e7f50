import { expect } from 'chai';
import type { ClientSocket, PendingClientHandler } from '../../../../src/worker/connection/client-socket.ts';
import { AdmissionQueue } from '../../../../src/worker/handshake/pusher/admission-queue.ts';
import { eventually } from '../../../support/deadline.ts';

/** A client socket, as far as the queue uses it. */
class FakeClient {
  handler: PendingClientHandler | undefined;

  waitForAdmission(handler: PendingClientHandler): void {
    this.handler = handler;
  }
}

interface Waiting {
  readonly client: ClientSocket;
  readonly number: number;
}

describe('AdmissionQueue', () => {
  let admitted: number[];
  let rejected: number[];
  let queue: AdmissionQueue<Waiting>;

  /** Admits `perSecond`; the burst is 1 client for rates up to 20. */
  function open(perSecond: number, maxWaitMs: number): void {
    admitted = [];
    rejected = [];
    queue = new AdmissionQueue<Waiting>({
      perSecond,
      maxWaitMs,
      onAdmit: ({ number }) => admitted.push(number),
      onOverflow: ({ number }) => rejected.push(number),
    });
  }

  function add(count: number): FakeClient[] {
    return Array.from({ length: count }, (_, number) => {
      const client = new FakeClient();
      queue.add({ client: client as unknown as ClientSocket, number });
      return client;
    });
  }

  afterEach(() => queue.flush());

  it('admits a single client at once', () => {
    open(1, 1_000);
    add(1);
    expect(admitted).to.deep.equal([0]);
    expect(queue.size).to.equal(0);
  });

  it('admits waiting clients in order, and rejects those whose turn would come too late', async () => {
    open(20, 200);
    add(10);
    expect(queue.size).to.equal(9);
    await eventually(() => queue.size === 0, 'all clients are admitted or rejected');
    expect(admitted).to.deep.equal([0, 1, 2, 3, 4]);
    expect([...rejected].sort((one, other) => one - other)).to.deep.equal([5, 6, 7, 8, 9]);
  });

  it('frees the place of a client that disconnects', () => {
    open(1, 3_000);
    const clients = add(6);
    expect(queue.size).to.equal(5);
    for (const number of [2, 5]) {
      clients[number]?.handler?.pendingClientClosed(clients[number] as unknown as ClientSocket);
    }
    expect(queue.size).to.equal(3);
    queue.flush();
    expect(rejected).to.have.members([1, 3, 4]);
  });

  it('rejects every waiting client once when it is flushed', () => {
    open(1, 3_000);
    add(8);
    queue.flush();
    queue.flush();
    expect(admitted).to.deep.equal([0]);
    expect(rejected).to.have.members([1, 2, 3, 4, 5, 6, 7]);
    expect(queue.size).to.equal(0);
  });
});
