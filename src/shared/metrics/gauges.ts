import { isObject } from '../json/is-object.ts';

/** The state of a process when it was read. */
export interface ProcessGauges {
  /** Share of time since the last reading in which the event loop was busy, 0 to 1. */
  readonly loopUtilization: number;
  /** Seconds by which timers were late since the last reading. */
  readonly loopDelay: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly memory: {
    readonly rss: number;
    readonly heapUsed: number;
    readonly heapTotal: number;
    readonly external: number;
  };
  /** Open file descriptors; -1 on systems without /proc. */
  readonly openFiles: number;
}

/** What only a worker has. */
export interface BrokerGauges {
  /** 1 if this worker is connected to its broker and its last publication to itself arrived, otherwise 0. */
  readonly brokerUp: number;
  /** Seconds of the last publication of this worker to itself; -1 if unknown. */
  readonly brokerRoundTrip: number;
  /** Bytes that clients have not accepted yet. */
  readonly sendBufferBytes: number;
}

/** The value of a gauge that cannot be read. */
export const UNKNOWN = -1;

/** `text`: Prometheus 0.0.4; `openmetrics`: OpenMetrics 1.0.0. */
export const METRICS_FORMATS = ['text', 'openmetrics'] as const;
export type MetricsFormat = (typeof METRICS_FORMATS)[number];

/** Returns true for the gauges of a worker. */
export function isGauges(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { loopUtilization, loopDelay, memory, openFiles, brokerUp, brokerRoundTrip, sendBufferBytes } = value;
  return (
    [loopUtilization, openFiles, brokerUp, brokerRoundTrip, sendBufferBytes].every(Number.isFinite) &&
    holdsNumbers(loopDelay, ['p50', 'p99', 'max']) &&
    holdsNumbers(memory, ['rss', 'heapUsed', 'heapTotal', 'external'])
  );
}

function holdsNumbers(value: unknown, names: readonly string[]): boolean {
  return isObject(value) && names.every((name) => Number.isFinite(value[name]));
}
