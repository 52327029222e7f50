import { expect } from 'chai';
import { TokenBucketQueue } from '../../../src/shared/scheduling/token-bucket-queue.ts';
import { eventually } from '../../support/deadline.ts';

describe('TokenBucketQueue', () => {
  /** Creates a queue whose clock the test advances. */
  function make(perSecond: number, maxWaitMs = 900) {
    const clock = { now: 0 };
    const ready: number[] = [];
    const queue = new TokenBucketQueue<number>({
      perSecond,
      maxWaitMs,
      onReady: (item) => void ready.push(item),
      now: () => clock.now,
    });
    return { queue, ready, clock };
  }

  it('admits a single request at once', () => {
    const { queue, ready, clock } = make(2);
    for (let n = 0; n < 5; n += 1) {
      expect(queue.offer(n)).to.equal(true);
      expect(ready).to.have.length(n + 1);
      clock.now += 500;
    }
  });

  it('rejects requests that would wait too long, and admits the others in order', async () => {
    const { queue, ready, clock } = make(100);
    const accepted = Array.from({ length: 200 }, (_, n) => n).filter((n) => queue.offer(n));
    // A burst of 5, and the tokens of the next 0.9 s.
    expect(ready).to.have.length(5);
    expect(accepted).to.have.length(95);
    for (let ms = 0; ms < 1_000; ms += 50) {
      clock.now += 50;
      const readyMax = 5 + clock.now / 10;
      await eventually(() => ready.length >= Math.min(95, Math.floor(readyMax)), 'the next items are ready');
      expect(ready.length).to.be.at.most(readyMax);
    }
    expect(ready).to.deep.equal(accepted);
    expect(queue.size).to.equal(0);
  });

  it('saves no tokens beyond one burst while it is idle', () => {
    const { queue, ready, clock } = make(100);
    clock.now += 60_000;
    for (let n = 0; n < 200; n += 1) queue.offer(n);
    expect(ready).to.have.length(5);
    expect(queue.clear()).to.have.length(90);
    expect(queue.size).to.equal(0);
  });

  it('frees the places of removed items for later ones', async () => {
    const { queue, ready, clock } = make(100);
    for (let n = 0; n < 95; n += 1) queue.offer(n);
    expect(queue.offer(95)).to.equal(false);
    for (let n = 5; n < 90; n += 1) queue.remove(n);
    queue.remove(0);
    expect(queue.size).to.equal(5);
    expect(queue.offer(96)).to.equal(true);
    clock.now += 50;
    await eventually(() => ready.length === 10, 'the next items are ready');
    expect(ready.slice(5)).to.deep.equal([90, 91, 92, 93, 94]);
    expect(queue.clear()).to.deep.equal([96]);
  });
});
