import { expect } from 'chai';
import { decideRestart, type WorkerExit } from '../../../src/primary/supervisor/restart-policy.ts';

function exit(at: number, more: Partial<WorkerExit> = {}): WorkerExit {
  return { at, slot: 0, servedMs: 1_000, killed: false, startFailed: false, ...more };
}

const SERVING = { workers: 2, everReady: true, othersServe: true };
const STARTING = { workers: 2, everReady: false, othersServe: false };

describe('decideRestart', () => {
  it('respawns at once after a first crash', () => {
    expect(decideRestart([exit(0)], SERVING)).to.deep.equal({ kind: 'respawn', delayMs: 0 });
  });

  it('delays longer after each further crash of the same slot, up to a limit', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((count) => {
      const exits = Array.from({ length: count }, (_, index) => exit(index));
      const decision = decideRestart(exits, SERVING);
      return decision.kind === 'respawn' ? decision.delayMs : -1;
    });
    expect(delays).to.deep.equal([0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  });

  it('ignores exits that are a minute old', () => {
    const exits = [exit(0), exit(1), exit(2), exit(70_000)];
    expect(decideRestart(exits, SERVING)).to.deep.equal({ kind: 'respawn', delayMs: 0 });
  });

  it('does not count exits of workers that served for long', () => {
    const exits = [exit(0, { servedMs: 60_000 }), exit(1, { servedMs: 60_000 })];
    expect(decideRestart(exits, SERVING)).to.deep.equal({ kind: 'respawn', delayMs: 0 });
  });

  it('gives up when no worker ever becomes ready', () => {
    const exits = Array.from({ length: 6 }, (_, index) =>
      exit(index, { slot: index % 2, servedMs: undefined }),
    );
    expect(decideRestart(exits.slice(0, 5), STARTING).kind).to.equal('respawn');
    expect(decideRestart(exits, STARTING).kind).to.equal('give up');
  });

  it('gives up on a crash loop', () => {
    const exits = Array.from({ length: 10 }, (_, index) => exit(index * 1_000));
    expect(decideRestart(exits, SERVING).kind).to.equal('give up');
  });

  it('delays failed starts increasingly, and never gives up because of them', () => {
    const failures = Array.from({ length: 50 }, (_, index) =>
      exit(index * 100, { servedMs: undefined, startFailed: true }),
    );
    const delays = [1, 2, 3, 50].map((count) => decideRestart(failures.slice(0, count), SERVING));
    expect(delays).to.deep.equal([0, 100, 200, 5_000].map((delayMs) => ({ kind: 'respawn', delayMs })));
    const crashes = Array.from({ length: 10 }, (_, index) => exit(5_000 + index));
    expect(decideRestart([...failures, ...crashes.slice(0, 9)], SERVING).kind).to.equal('respawn');
    expect(decideRestart([...failures, ...crashes], SERVING).kind).to.equal('give up');
  });

  it('never gives up because of exits before a worker is ready, while others serve', () => {
    const exits = Array.from({ length: 50 }, (_, index) => exit(index * 100, { servedMs: undefined }));
    const decision = decideRestart(exits, SERVING);
    expect(decision).to.deep.equal({ kind: 'respawn', delayMs: 5_000 });
    expect(decideRestart(exits, { ...SERVING, othersServe: false }).kind).to.equal('give up');
  });

  it('gives up when no worker can be started', () => {
    const exits = Array.from({ length: 6 }, (_, index) =>
      exit(index, { slot: index % 2, servedMs: undefined, startFailed: true }),
    );
    expect(decideRestart(exits.slice(0, 5), STARTING).kind).to.equal('respawn');
    expect(decideRestart(exits, STARTING).kind).to.equal('give up');
  });

  it('never gives up because of kills from outside', () => {
    const exits = Array.from({ length: 50 }, (_, index) => exit(index * 100, { killed: true }));
    expect(decideRestart(exits, SERVING)).to.deep.equal({ kind: 'respawn', delayMs: 0 });
  });
});
