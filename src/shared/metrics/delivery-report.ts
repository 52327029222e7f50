/** What one worker did with one publication, counted in subscribers. */
export interface DeliveryCounts {
  readonly subscribers: number;
  /** The system has accepted the message. */
  readonly written: number;
  /** The message waits in gusher behind earlier ones, because the client reads slowly. */
  readonly queued: number;
  /** The connection was closed before the message, usually as too slow. */
  readonly dropped: number;
}

/** What the workers of one host did with one publication. */
export interface DeliveryReport {
  /** False if a worker did not report in time. */
  readonly complete: boolean;
  readonly workers: readonly (DeliveryCounts & { readonly worker: number })[];
}

const COUNTS = ['subscribers', 'written', 'queued', 'dropped'] as const;

/** The id of a report, as it travels with its publication; any Redis client may have written it. */
export function isReportId(text: string): boolean {
  return /^[\w-]{1,32}$/.test(text);
}

/** Encodes a report: the sums over all workers, then each worker. */
export function reportJson({ complete, workers }: DeliveryReport): string {
  const sums = COUNTS.map((name) => [name, workers.reduce((sum, counts) => sum + counts[name], 0)]);
  return JSON.stringify({ complete, ...Object.fromEntries(sums), workers });
}
