import { setTimeout as pause } from 'node:timers/promises';
import { REFUSALS } from '../shared/errors.ts';
import type { Hub } from './hub.ts';
import type { Outbox } from './outbox.ts';

const SLICE_MS = 50;
/** Of the deadline, the part in which goodbyes are said; the rest is for clients to answer them. */
const PACED_PART = 0.6;

/**
 * Closes every client, telling it to come back, a slice at a time: clients that all return in the same
 * instant would be an attack on whoever has to take them. Resolves when the last socket is gone, or at the
 * deadline, when those that are left are ended without a word.
 */
export async function drain(options: {
  hub: Hub;
  outbox: Outbox;
  perSecond: number;
  deadlineMs: number;
}): Promise<void> {
  const { hub, outbox, perSecond, deadlineMs } = options;
  const until = performance.now() + deadlineMs;
  const slices = Math.max(1, (deadlineMs * PACED_PART) / SLICE_MS);
  const perSlice = Math.ceil(Math.max((perSecond * SLICE_MS) / 1_000, hub.size / slices));
  const round = hub.connections();
  while (hub.size > 0 && performance.now() < until) {
    for (let left = perSlice; left > 0; left -= 1) {
      const next = round.next();
      if (next.done) break;
      outbox.close(next.value, REFUSALS.server_stopping);
    }
    await pause(SLICE_MS);
  }
  for (const connection of hub.connections()) connection.transport.terminate();
}
