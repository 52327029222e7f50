import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { ERRORS } from '../../shared/errors/catalogue.ts';
import { SHUTDOWN_FRACTIONS } from '../../shared/process/shutdown-budget.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { FanOut } from '../hub/fan-out.ts';
import type { Hub } from '../hub/hub.ts';

const SLICE_MS = 50;
/** How long a drain waits for deliveries in progress. If publications never stop, neither do deliveries. */
const FLUSH_TIMEOUT_MS = 1_000;

/**
 * Closes every client with the code for a reconnect, after all deliveries in progress. Spreads the closes over time,
 * because clients that reconnect all at once would overload the other hosts. Resolves after the last socket has closed,
 * or at the deadline. Then it destroys the remaining sockets without a close frame.
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
  const deadline = start + timeoutMs;
  while (!fanOut.isIdle && performance.now() - start < FLUSH_TIMEOUT_MS) await nextTurn();
  const perSlice =
    Math.max(perSecond, hub.size / ((timeoutMs * SHUTDOWN_FRACTIONS.closeFrames) / 1_000)) *
    (SLICE_MS / 1_000);
  const iterator = hub.connections();
  let credit = 0;
  while (hub.size > 0 && performance.now() < deadline) {
    for (credit += perSlice; credit > 0; credit -= 1) {
      const next = iterator.next();
      if (next.done) break;
      sendQueue.close(next.value, ERRORS.server_stopping);
    }
    await pause(SLICE_MS);
  }
  for (const connection of hub.connections()) connection.transport.terminate();
}
