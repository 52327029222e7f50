import { expect } from 'chai';
import { drawHistogram, drawProgress } from '../../../../src/primary/cli/bench/drawing.ts';
import { LatencyRecorder } from '../../../../src/primary/cli/bench/latencies.ts';
import { paintNothing } from '../../../../src/shared/logging/terminal.ts';

describe('LatencyRecorder', () => {
  it('computes percentiles with three digits', () => {
    const recorder = new LatencyRecorder();
    for (let ms = 1; ms <= 1_000; ms += 1) recorder.record(ms);
    const { min, p50 = 0, p99 = 0, max = 0 } = recorder.latencies ?? {};
    expect(min).to.equal(1);
    expect(p50).to.be.closeTo(500, 1);
    expect(p99).to.be.closeTo(990, 1);
    expect(max).to.be.closeTo(1_000, 1);
    expect(recorder.count).to.equal(1_000);
  });

  it('has no percentile and no bucket without a latency', () => {
    const recorder = new LatencyRecorder();
    expect(recorder.latencies).to.equal(undefined);
    expect(recorder.buckets).to.deep.equal([]);
  });

  it('counts by ranges, without empty ones at the ends', () => {
    const recorder = new LatencyRecorder();
    for (const ms of [0.7, 1, 4, 20_000]) recorder.record(ms);
    const buckets = recorder.buckets;
    expect(buckets[0]).to.deep.equal({ upToMs: 1, count: 2 });
    expect(buckets[1]).to.deep.equal({ upToMs: 2, count: 0 });
    expect(buckets.at(-1)).to.deep.equal({ upToMs: null, count: 1 });
  });
});

describe('The drawings of gusher bench', () => {
  it('scale bars to the largest count, and show a single delivery', () => {
    const buckets = [
      { upToMs: 1, count: 1 },
      { upToMs: 2, count: 4_000 },
      { upToMs: 5, count: 0 },
      { upToMs: null, count: 2_000 },
    ];
    expect(drawHistogram(buckets, paintNothing)).to.deep.equal([
      '    ≤ 1 ms          1 ▏',
      `    ≤ 2 ms       4000 ${'█'.repeat(40)}`,
      '    ≤ 5 ms          0 ',
      `      more       2000 ${'█'.repeat(20)}`,
    ]);
  });

  it('show progress within 80 columns', () => {
    expect(drawProgress(0.5, 'x')).to.equal(`${'█'.repeat(12)}${'░'.repeat(12)}  50 %  x`);
    expect(drawProgress(1.5, '')).to.match(/^█{24} /);
    expect(drawProgress(1, '1000000 deliveries, p99 1234.5 ms').length).to.be.lessThan(70);
  });
});
