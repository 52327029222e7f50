import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { ERRORS } from '../../shared/errors/catalogue.ts';
import { SHUTDOWN_FRACTIONS } from '../../shared/process/shutdown-budget.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { FanOut } from '../hub/fan-out.ts';
import type { Hub } from '../hub/hub.ts';

const SLICE_MS = 50;
/** How long it waits for the end of a fan-out; where publications never stop, there is none. */
const FLUSH_TIMEOUT_MS = 1_000;

/**
 * Closes every client, after what was published before, telling it to come back, a slice at a time: clients that all return in the same
 * instant would be an attack on whoever has to take them. Resolves when the last socket is gone, or at the
 * deadline, when those that are left are ended without a word.
 */
export async function drain(options: {
  hub: Hub;
  sendQueue: SendQueue;
  fanOut: Pick<FanOut, 'isIdle'>;
  perSecond: number;
  timeoutMs: number;
}): Promise<void> {
  const { hub, sendQueue, fanOut, perSecond, timeoutMs } = options;
  const start = performance.now();
  const until = start + timeoutMs;
  while (!fanOut.isIdle && performance.now() - start < FLUSH_TIMEOUT_MS) await nextTurn();
  const perSlice =
    Math.max(perSecond, hub.size / ((timeoutMs * SHUTDOWN_FRACTIONS.closeFrames) / 1_000)) *
    (SLICE_MS / 1_000);
  const iterator = hub.connections();
  let due = 0;
  while (hub.size > 0 && performance.now() < until) {
    for (due += perSlice; due > 0; due -= 1) {
      const next = iterator.next();
      if (next.done) break;
      sendQueue.close(next.value, ERRORS.server_stopping);
    }
    await pause(SLICE_MS);
  }
  for (const connection of hub.connections()) connection.transport.terminate();
}
