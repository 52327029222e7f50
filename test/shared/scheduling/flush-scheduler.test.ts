import { expect } from 'chai';
import { FlushScheduler } from '../../../src/shared/scheduling/flush-scheduler.ts';

/** What is asked for by immediates: one turn of the loop for each. */
async function turns(count: number, during: () => void = () => undefined): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    during();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('the end of a turn', () => {
  it('comes once, however often it is asked for, and runs its steps in their order', async () => {
    const steps: string[] = [];
    const scheduler = new FlushScheduler([() => steps.push('first'), () => steps.push('second')]);
    for (let n = 0; n < 3; n += 1) scheduler.schedule();
    expect(steps).to.deep.equal([]);
    await turns(3);
    expect(steps).to.deep.equal(['first', 'second']);
  });

  it('comes again when a step asks for it', async () => {
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

  it('is put off while a burst goes on, where patience pays', async () => {
    let ends = 0;
    const scheduler = new FlushScheduler([() => (ends += 1)], { waitForMore: () => true });
    await turns(3, () => scheduler.schedule());
    expect(ends, 'while more came').to.equal(0);
    await turns(2);
    expect(ends, 'after a turn without').to.equal(1);
  });

  it('is not put off for ever by a burst without end', async () => {
    let ends = 0;
    const scheduler = new FlushScheduler([() => (ends += 1)], { waitForMore: () => true });
    await turns(12, () => scheduler.schedule());
    expect(ends).to.be.greaterThan(0);
  });

  it('is not put off where turns are long', async () => {
    let ends = 0;
    let isBusy = false;
    const scheduler = new FlushScheduler([() => (ends += 1)], { waitForMore: () => !isBusy });
    scheduler.schedule();
    isBusy = true;
    await turns(1);
    expect(ends).to.equal(1);
  });
});
