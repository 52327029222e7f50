import { expect } from 'chai';
import { type Death, nextStep } from '../../../src/primary/supervisor/restart-policy.ts';

function death(at: number, more: Partial<Death> = {}): Death {
  return { at, slot: 0, servedMs: 1_000, killed: false, unstarted: false, ...more };
}

const SERVING = { workers: 2, everReady: true, othersServe: true };
const STARTING = { workers: 2, everReady: false, othersServe: false };

describe('the respawn rule', () => {
  it('answers a first crash at once', () => {
    expect(nextStep([death(0)], SERVING)).to.deep.equal({ kind: 'respawn', delayMs: 0 });
  });

  it('waits longer after each further crash of the same slot, up to a limit', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((count) => {
      const deaths = Array.from({ length: count }, (_, index) => death(index));
      const step = nextStep(deaths, SERVING);
      return step.kind === 'respawn' ? step.delayMs : -1;
    });
    expect(delays).to.deep.equal([0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  });

  it('forgets what is a minute old', () => {
    const deaths = [death(0), death(1), death(2), death(70_000)];
    expect(nextStep(deaths, SERVING)).to.deep.equal({ kind: 'respawn', delayMs: 0 });
  });

  it('takes the death of a worker that served for long as a first one', () => {
    const deaths = [death(0, { servedMs: 60_000 }), death(1, { servedMs: 60_000 })];
    expect(nextStep(deaths, SERVING)).to.deep.equal({ kind: 'respawn', delayMs: 0 });
  });

  it('gives up when no worker ever becomes ready', () => {
    const deaths = Array.from({ length: 6 }, (_, index) =>
      death(index, { slot: index % 2, servedMs: undefined }),
    );
    expect(nextStep(deaths.slice(0, 5), STARTING).kind).to.equal('respawn');
    expect(nextStep(deaths, STARTING).kind).to.equal('give up');
  });

  it('gives up on a crash loop', () => {
    const deaths = Array.from({ length: 10 }, (_, index) => death(index * 1_000));
    expect(nextStep(deaths, SERVING).kind).to.equal('give up');
  });

  it('tries ever later what could not be started, and never gives up because of it', () => {
    const failures = Array.from({ length: 50 }, (_, index) =>
      death(index * 100, { servedMs: undefined, unstarted: true }),
    );
    const delays = [1, 2, 3, 50].map((count) => nextStep(failures.slice(0, count), SERVING));
    expect(delays).to.deep.equal([0, 100, 200, 5_000].map((delayMs) => ({ kind: 'respawn', delayMs })));
    const crashes = Array.from({ length: 10 }, (_, index) => death(5_000 + index));
    expect(nextStep([...failures, ...crashes.slice(0, 9)], SERVING).kind).to.equal('respawn');
    expect(nextStep([...failures, ...crashes], SERVING).kind).to.equal('give up');
  });

  it('never gives up because of workers that end before they are ready, as long as others serve', () => {
    const deaths = Array.from({ length: 50 }, (_, index) => death(index * 100, { servedMs: undefined }));
    const step = nextStep(deaths, SERVING);
    expect(step).to.deep.equal({ kind: 'respawn', delayMs: 5_000 });
    expect(nextStep(deaths, { ...SERVING, othersServe: false }).kind).to.equal('give up');
  });

  it('gives up when none can be started at all', () => {
    const deaths = Array.from({ length: 6 }, (_, index) =>
      death(index, { slot: index % 2, servedMs: undefined, unstarted: true }),
    );
    expect(nextStep(deaths.slice(0, 5), STARTING).kind).to.equal('respawn');
    expect(nextStep(deaths, STARTING).kind).to.equal('give up');
  });

  it('never gives up because of kills from outside', () => {
    const deaths = Array.from({ length: 50 }, (_, index) => death(index * 100, { killed: true }));
    expect(nextStep(deaths, SERVING)).to.deep.equal({ kind: 'respawn', delayMs: 0 });
  });
});
