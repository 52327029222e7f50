import type { Paint } from '../../../shared/logging/terminal.ts';
import type { Bucket } from './latencies.ts';

const BAR_WIDTH = 40;
/** The line must fit in 80 columns: a terminal cannot redraw a line that wraps. */
const PROGRESS_WIDTH = 24;
const LABEL_WIDTH = 10;
const COUNT_WIDTH = 10;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Draws one bar per bucket, with its range and count. */
export function drawHistogram(buckets: readonly Bucket[], paint: Paint): string[] {
  const most = Math.max(...buckets.map(({ count }) => count), 1);
  return buckets.map(({ upToMs, count }) => {
    const label = upToMs === null ? 'more' : `≤ ${upToMs} ms`;
    const bar = barOf((count / most) * BAR_WIDTH, count > 0);
    return `${label.padStart(LABEL_WIDTH)} ${String(count).padStart(COUNT_WIDTH)} ${paint('cyan', bar)}`;
  });
}

/** Even a single delivery is visible. */
function barOf(length: number, isVisible: boolean): string {
  const bar = '█'.repeat(Math.floor(length)) + (EIGHTHS[Math.floor((length % 1) * EIGHTHS.length)] ?? '');
  return bar === '' && isVisible ? '▏' : bar;
}

/** Draws how much of a task is done. */
export function drawProgress(fraction: number, text: string): string {
  const done = Math.round(Math.min(Math.max(fraction, 0), 1) * PROGRESS_WIDTH);
  return `${'█'.repeat(done)}${'░'.repeat(PROGRESS_WIDTH - done)} ${String(Math.floor(fraction * 100)).padStart(3)} %  ${text}`;
}
