import { expect } from 'chai';
import { LogThrottle, type LogThrottleOptions } from '../../../src/shared/logging/log-throttle.ts';
import { eventually } from '../../support/deadline.ts';

type Written = Readonly<Record<string, unknown>>;

function recording(options: Partial<LogThrottleOptions> = {}): { throttle: LogThrottle; lines: Written[] } {
  const lines: Written[] = [];
  const write = (facts: object, message: string): number => lines.push({ ...facts, message });
  const log = {
    debug: write,
    info: write,
    warn: write,
    error: write,
  } as unknown as LogThrottleOptions['log'];
  return { throttle: new LogThrottle({ log, intervalMs: 60_000, ...options }), lines };
}

const line = (facts: { event?: string; [name: string]: unknown } = {}) => ({
  level: 'info' as const,
  facts: { event: 'rejected', ...facts },
  message: 'client rejected',
});

describe('LogThrottle', () => {
  it('writes the first lines of each key, and at the end of the interval the number of the others', () => {
    const { throttle, lines } = recording({ linesPerKey: 2 });
    for (let n = 1; n <= 5; n += 1) throttle.write('shop', line({ app: 'shop', n }));
    throttle.write('news', line({ app: 'news' }));
    expect(lines.map(({ app, n }) => [app, n])).to.deep.equal([
      ['shop', 1],
      ['shop', 2],
      ['news', undefined],
    ]);
    throttle.flush();
    expect(lines.slice(3)).to.deep.equal([
      { event: 'rejected', app: 'shop', n: 5, suppressed: 3, message: 'client rejected' },
    ]);
    throttle.write('shop', line({ app: 'shop', n: 6 }));
    expect(lines).to.have.length(5);
  });

  it('reports suppressed lines by itself when the interval ends, without another line', async () => {
    const { throttle, lines } = recording({ intervalMs: 20 });
    throttle.write('a', line());
    throttle.write('a', line());
    await eventually(() => lines.length === 2, 'the number of suppressed lines');
    expect(lines[1]).to.include({ suppressed: 1 });
  });

  it('keeps apart events that have the same key', () => {
    const { throttle, lines } = recording();
    throttle.write('a', line({ event: 'one' }));
    throttle.write('a', line({ event: 'two' }));
    expect(lines.map(({ event }) => event)).to.deep.equal(['one', 'two']);
  });

  it('remembers no more keys than allowed, and loses no count', () => {
    const { throttle, lines } = recording({ keysMax: 3 });
    for (let n = 0; n < 1_000; n += 1) throttle.write(`key ${n}`, line({ n }));
    expect(lines.map(({ n }) => n)).to.deep.equal([0, 1, 2, 3]);
    throttle.flush();
    expect(lines.slice(4)).to.deep.equal([
      { event: 'rejected', n: 999, suppressed: 996, message: 'client rejected' },
    ]);
  });

  it('writes no more lines in an interval than allowed in all', () => {
    const { throttle, lines } = recording({ linesMax: 5 });
    for (let n = 0; n < 20; n += 1) throttle.write(`key ${n}`, line({ n }));
    expect(lines).to.have.length(5);
  });
});
