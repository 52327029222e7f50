import { opendir, stat } from 'node:fs/promises';
import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { type ProcessGauges, UNKNOWN } from './gauges.ts';

/** Interval of the timer that measures delays. Shorter ones wake an idle process more often. */
const RESOLUTION_MS = 50;
const NS_PER_SECOND = 1e9;
const DESCRIPTORS = '/proc/self/fd';
const ENTRIES_PER_READ = 1_024;

/** Reads the gauges of its process. */
export class ProcessGaugeReader {
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #utilization = performance.eventLoopUtilization();

  constructor() {
    this.#delays.enable();
  }

  /** Utilization and delays count from the last reading. */
  async read(): Promise<ProcessGauges> {
    const utilization = performance.eventLoopUtilization();
    const since = performance.eventLoopUtilization(utilization, this.#utilization);
    this.#utilization = utilization;
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
    return {
      loopUtilization: Number.isFinite(since.utilization) ? since.utilization : 0,
      loopDelay: this.#readDelays(),
      memory: { rss, heapUsed, heapTotal, external },
      openFiles: await openFiles(),
    };
  }

  close(): void {
    this.#delays.disable();
  }

  /** The recorded intervals include the resolution. */
  #readDelays(): ProcessGauges['loopDelay'] {
    const delays = this.#delays;
    const seconds = (ns: number): number =>
      Number.isFinite(ns) ? Math.max(0, ns / NS_PER_SECOND - RESOLUTION_MS / 1_000) : 0;
    const read = {
      p50: seconds(delays.percentile(50)),
      p99: seconds(delays.percentile(99)),
      max: seconds(delays.count > 0 ? delays.max : 0),
    };
    delays.reset();
    return read;
  }
}

/** Linux reports the number as the size of the folder since 6.2. Older versions need the folder to be read. */
async function openFiles(): Promise<number> {
  try {
    const { size } = await stat(DESCRIPTORS);
    if (size > 0) return size;
    let count = 0;
    for await (const _entry of await opendir(DESCRIPTORS, { bufferSize: ENTRIES_PER_READ })) count += 1;
    return count;
  } catch {
    return UNKNOWN;
  }
}
