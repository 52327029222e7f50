import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { BenchClients } from '../clients/bench-clients.ts';
import { CommandFailedError } from '../errors.ts';
import { type Bucket, type Latencies, LatencyRecorder } from './latencies.ts';
import { BenchPublisher } from './publisher.ts';

const CONNECTING_MAX = 50;
/** After the last publication, for deliveries in flight. */
const QUIET_MS = 1_000;
const SETTLE_MAX_MS = 10_000;
const REPORT_MS = 100;
const CHANNEL_ID_BYTES = 4;
/** If this process has less idle time, latencies are also its own. */
const BUSY_FRACTION = 0.9;

export interface BenchOptions {
  readonly url: URL;
  readonly api: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly app: string;
  readonly connections: number;
  readonly channels: number;
  readonly perSecond: number;
  readonly size: number;
  readonly durationMs: number;
  readonly signal: AbortSignal;
  /** Called ten times a second. */
  readonly onProgress: (phase: 'connecting' | 'publishing', fraction: number, text: string) => void;
}

export interface BenchResult {
  readonly connections: number;
  /** Reasons of failed connects with their numbers. */
  readonly failedConnects: Readonly<Record<string, number>>;
  readonly connectMs: number;
  readonly published: number;
  readonly failedPublications: Readonly<Record<string, number>>;
  readonly skippedPublications: number;
  readonly deliveries: number;
  readonly missingDeliveries: number;
  readonly lostConnections: number;
  readonly durationMs: number;
  readonly deliveriesPerSecond: number;
  readonly latencyMs: Latencies | null;
  readonly histogram: readonly Bucket[];
  /** True if this process was too busy to measure exactly. */
  readonly isBenchBusy: boolean;
}

/** Connects subscribers, publishes at a constant rate, and measures the time from publication to each delivery. */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const recorder = new LatencyRecorder();
  const clients = new BenchClients({ url: options.url, onDelivery: (ms) => recorder.record(ms) });
  const id = randomBytes(CHANNEL_ID_BYTES).toString('hex');
  const channels = Array.from({ length: options.channels }, (_, index) => `bench-${id}-${index}`);
  const publisher = new BenchPublisher({ ...options, channels });
  try {
    const startedAt = performance.now();
    const connected = await connectAll(clients, channels, options);
    const connectMs = Math.round(performance.now() - startedAt);
    const load = await publish(publisher, recorder, options);
    const { accepted, errors, skipped } = publisher;
    const expected = expectedDeliveries(accepted, connected.perChannel);
    return {
      connections: connected.count,
      failedConnects: Object.fromEntries(connected.errors),
      connectMs,
      published: accepted,
      failedPublications: Object.fromEntries(errors),
      skippedPublications: skipped,
      deliveries: recorder.count,
      missingDeliveries: Math.max(0, expected - recorder.count),
      lostConnections: clients.lost,
      durationMs: load.durationMs,
      deliveriesPerSecond: Math.round(recorder.count / (load.durationMs / 1_000)),
      latencyMs: recorder.latencies ?? null,
      histogram: recorder.buckets,
      isBenchBusy: load.isBusy,
    };
  } finally {
    publisher.close();
    clients.close();
  }
}

interface Connected {
  readonly count: number;
  readonly perChannel: readonly number[];
  readonly errors: ReadonlyMap<string, number>;
}

async function connectAll(
  clients: BenchClients,
  channels: readonly string[],
  { connections, signal, onProgress }: BenchOptions,
): Promise<Connected> {
  const perChannel = channels.map(() => 0);
  const errors = new Map<string, number>();
  let [next, count] = [0, 0];
  const connectNext = async (): Promise<void> => {
    while (next < connections && !signal.aborted) {
      const index = next % channels.length;
      next += 1;
      try {
        await clients.connect(channels[index] ?? '');
        perChannel[index] = (perChannel[index] ?? 0) + 1;
        count += 1;
      } catch (error) {
        const { message } = error as Error;
        errors.set(message, (errors.get(message) ?? 0) + 1);
      }
      onProgress('connecting', next / connections, `${count} of ${connections} clients`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTING_MAX }, connectNext));
  if (count === 0 && !signal.aborted)
    throw new CommandFailedError(`no client connected: ${[...errors.keys()].join(', ')}`);
  return { count, perChannel, errors };
}

async function publish(
  publisher: BenchPublisher,
  recorder: LatencyRecorder,
  { durationMs, signal, onProgress }: BenchOptions,
): Promise<{ durationMs: number; isBusy: boolean }> {
  const before = performance.eventLoopUtilization();
  const startedAt = performance.now();
  const elapsedMs = (): number => performance.now() - startedAt;
  publisher.start();
  while (elapsedMs() < durationMs && !signal.aborted) {
    await pause(REPORT_MS);
    const p99 = recorder.latencies?.p99;
    const text = `${recorder.count} deliveries${p99 === undefined ? '' : `, p99 ${p99.toFixed(1)} ms`}`;
    onProgress('publishing', Math.min(1, elapsedMs() / durationMs), text);
  }
  publisher.stop();
  const tookMs = Math.round(elapsedMs());
  const { utilization } = performance.eventLoopUtilization(before);
  await settle(publisher, recorder);
  return { durationMs: tookMs, isBusy: utilization > BUSY_FRACTION };
}

/** Waits until no answer is pending and no delivery has arrived for a second. */
async function settle(publisher: BenchPublisher, recorder: LatencyRecorder): Promise<void> {
  const until = performance.now() + SETTLE_MAX_MS;
  let [count, changedAt] = [recorder.count, performance.now()];
  while (performance.now() < until) {
    if (recorder.count !== count) [count, changedAt] = [recorder.count, performance.now()];
    if (!publisher.hasPending && performance.now() - changedAt > QUIET_MS) return;
    await pause(REPORT_MS);
  }
}

/** Publications go to the channels in turn, beginning with the first. */
function expectedDeliveries(published: number, perChannel: readonly number[]): number {
  const rounds = Math.floor(published / perChannel.length);
  const rest = published % perChannel.length;
  return perChannel.reduce((sum, clients, index) => sum + clients * (rounds + (index < rest ? 1 : 0)), 0);
}
