import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { FromClients, ToClients } from './client-process.ts';
import type { Running } from './target.ts';

const SCRIPT = fileURLToPath(new URL('./client-process.js', import.meta.url));
const PROCESSES = 2;
const SAMPLED = 20;
/** A client process that is busy for a larger fraction of the time may limit the result. */
const BUSY_FRACTION = 0.85;
/** After this time without a delivery, missing deliveries count as lost. */
const QUIET_MS = 3_000;

interface Report {
  readonly deliveries: number;
  readonly latenciesMs: number[];
  /** CPU time of each process. */
  readonly cpuMs: number[];
}

/** Returns whether a client process was busy all the time between two reports. */
export function wereClientsBusy(before: Report, after: Report, tookMs: number): boolean {
  return after.cpuMs.some((ms, index) => (ms - (before.cpuMs[index] ?? 0)) / tookMs > BUSY_FRACTION);
}

/** The clients of a scenario, distributed over the client processes. */
export class Clients {
  readonly #processes: readonly ChildProcess[] = Array.from({ length: PROCESSES }, () => fork(SCRIPT));
  #opened = 0;

  /** Opens clients and waits until they are subscribed; returns their number. */
  async open(
    { port, protocol }: Running,
    options: { count: number; channels?: number; sampled?: number; perSecond?: number },
  ): Promise<number> {
    const { count, channels = 1, sampled = channels > 1 ? 1 : SAMPLED, perSecond = 2_000 } = options;
    const share = Math.ceil(count / this.#processes.length);
    const opened = this.#processes.map(async (child, index) => {
      const { path, hello, ready, replies = [] } = protocol;
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
      return (await sendRequest(child, request, 'opened')).ready;
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
      this.#processes.map((child) => sendRequest(child, { type: 'report' }, 'report')),
    );
    return {
      deliveries: reports.reduce((sum, report) => sum + report.deliveries, 0),
      latenciesMs: reports.flatMap((report) => report.latenciesMs),
      cpuMs: reports.map((report) => report.cpuMs),
    };
  }

  /** Waits for that many deliveries, or until no more arrive; returns the number that arrived. */
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

async function sendRequest<Type extends FromClients['type']>(
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
