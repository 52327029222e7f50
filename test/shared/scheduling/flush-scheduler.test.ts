import { expect } from 'chai';
import { FlushScheduler } from '../../../src/shared/scheduling/flush-scheduler.ts';

/** Runs event-loop turns, one immediate each. */
async function turns(count: number, during: () => void = () => undefined): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    during();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('FlushScheduler', () => {
  it('flushes once per turn, however often it is scheduled, and runs its steps in order', async () => {
    const steps: string[] = [];
    const scheduler = new FlushScheduler([() => steps.push('first'), () => steps.push('second')]);
    for (let n = 0; n < 3; n += 1) scheduler.schedule();
    expect(steps).to.deep.equal([]);
    await turns(3);
    expect(steps).to.deep.equal(['first', 'second']);
  });

  it('flushes again when a step schedules it', async () => {
    let ends = 0;
    const scheduler: FlushScheduler = new FlushScheduler([
      () => {
        ends += 1;
        if (ends < 3) scheduler.schedule();
      },
    ]);
    scheduler.schedule();
    await turns(5);
    expect(ends).to.equal(3);
  });

  it('delays the flush during a burst if it may wait for more', async () => {
    let ends = 0;
    const scheduler = new FlushScheduler([() => (ends += 1)], { waitForMore: () => true });
    await turns(3, () => scheduler.schedule());
    expect(ends, 'during the burst').to.equal(0);
    await turns(2);
    expect(ends, 'after a turn without a request').to.equal(1);
  });

  it('flushes during a burst that does not end', async () => {
    let ends = 0;
    const scheduler = new FlushScheduler([() => (ends += 1)], { waitForMore: () => true });
    await turns(12, () => scheduler.schedule());
    expect(ends).to.be.greaterThan(0);
  });

  it('flushes at once if it may no longer wait', async () => {
    let ends = 0;
    let isBusy = false;
    const scheduler = new FlushScheduler([() => (ends += 1)], { waitForMore: () => !isBusy });
    scheduler.schedule();
    isBusy = true;
    await turns(1);
    expect(ends).to.equal(1);
  });
});
