import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { FromClients, ToClients } from './client-process.ts';
import type { Running } from './target.ts';

const SCRIPT = fileURLToPath(new URL('./client-process.js', import.meta.url));
const PROCESSES = 2;
const SAMPLED = 20;
/** A process that is busy for more than this part of the time may be what is measured. */
const BUSY_FRACTION = 0.85;
/** Without a delivery for so long, what is missing is lost. */
const QUIET_MS = 3_000;

interface Report {
  readonly deliveries: number;
  readonly latenciesMs: number[];
  /** Of each process. */
  readonly cpuMs: number[];
}

/** Whether a client process had no time to spare between two reports. */
export function wereFull(before: Report, after: Report, tookMs: number): boolean {
  return after.cpuMs.some((ms, index) => (ms - (before.cpuMs[index] ?? 0)) / tookMs > BUSY_FRACTION);
}

/** The clients of a scenario, spread over some processes. */
export class Clients {
  readonly #processes: readonly ChildProcess[] = Array.from({ length: PROCESSES }, () => fork(SCRIPT));
  #opened = 0;

  /** Opens clients and waits until they are subscribed; answers how many are. */
  async open(
    { port, speech }: Running,
    options: { count: number; channels?: number; sampled?: number; perSecond?: number },
  ): Promise<number> {
    const { count, channels = 1, sampled = channels > 1 ? 1 : SAMPLED, perSecond = 2_000 } = options;
    const share = Math.ceil(count / this.#processes.length);
    const opened = this.#processes.map(async (child, index) => {
      const { path, hello, ready, replies = [] } = speech;
      const mine = Math.max(0, Math.min(share, count - index * share));
      const request: ToClients = {
        type: 'open',
        port,
        path,
        ...(hello !== undefined && { hello }),
        ...(ready !== undefined && { ready }),
        replies: [...replies],
        first: this.#opened + index * share,
        count: mine,
        channels,
        sampled,
        perSecond: perSecond / this.#processes.length,
      };
      return (await ask(child, request, 'opened')).ready;
    });
    const ready = (await Promise.all(opened)).reduce((sum, each) => sum + each, 0);
    this.#opened += count;
    return ready;
  }

  reset(): void {
    for (const child of this.#processes) child.send({ type: 'reset' } satisfies ToClients);
  }

  async report(): Promise<Report> {
    const reports = await Promise.all(
      this.#processes.map((child) => ask(child, { type: 'report' }, 'report')),
    );
    return {
      deliveries: reports.reduce((sum, report) => sum + report.deliveries, 0),
      latenciesMs: reports.flatMap((report) => report.latenciesMs),
      cpuMs: reports.map((report) => report.cpuMs),
    };
  }

  /** Waits until so many deliveries came, or none comes any more; answers how many came. */
  async until(expected: number): Promise<number> {
    let [last, changedAt] = [-1, performance.now()];
    for (;;) {
      const { deliveries } = await this.report();
      if (deliveries >= expected) return deliveries;
      if (deliveries !== last) [last, changedAt] = [deliveries, performance.now()];
      if (performance.now() - changedAt > QUIET_MS) return deliveries;
      await pause(25);
    }
  }

  async close(): Promise<void> {
    for (const child of this.#processes) child.disconnect();
    await Promise.all(this.#processes.map((child) => child.exitCode ?? once(child, 'exit')));
  }
}

async function ask<Type extends FromClients['type']>(
  child: ChildProcess,
  request: ToClients,
  type: Type,
): Promise<FromClients & { type: Type }> {
  child.send(request);
  for (;;) {
    const [answer] = (await once(child, 'message')) as [FromClients];
    if (answer.type === type) return answer as FromClients & { type: Type };
  }
}
