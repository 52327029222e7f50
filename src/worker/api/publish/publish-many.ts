import { GusherError } from '../../../shared/errors/catalogue.ts';
import type { Publication } from '../../../shared/model/publication.ts';
import type { Publisher } from '../../broker/publisher.ts';

/**
 * What is handed in before the broker's answer is waited for, and others get their turn of the loop: enough to pay
 * for the wait, little beside what may be in flight.
 */
const MESSAGES_PER_STEP = 500;
const BYTES_PER_STEP = 4 * 1024 * 1024;

/**
 * Publishes in order, or nothing if one is too large. Rejects with what the broker refuses if nothing was published, and with `outcome_unknown` if some
 * was: that stays so.
 */
export async function publishMany(
  publisher: Pick<Publisher, 'publish' | 'check'>,
  appKey: string,
  publications: readonly Publication[],
): Promise<void> {
  for (const publication of publications) publisher.check(publication);
  let step: Promise<void>[] = [];
  let bytes = 0;
  let isFirst = true;
  for (const publication of publications) {
    step.push(publisher.publish(appKey, publication));
    bytes += publication.data.length;
    if (step.length < MESSAGES_PER_STEP && bytes < BYTES_PER_STEP) continue;
    await allPublished(step, isFirst);
    await new Promise(setImmediate);
    step = [];
    bytes = 0;
    isFirst = false;
  }
  await allPublished(step, isFirst);
}

/** Resolves if all were published. `isFirst`: nothing of the same request was published before them. */
export async function allPublished(publishing: readonly Promise<void>[], isFirst = true): Promise<void> {
  const outcomes = await Promise.allSettled(publishing);
  const refused = outcomes.find((outcome) => outcome.status === 'rejected');
  if (refused === undefined) return;
  const isNothingPublished = isFirst && outcomes.every(({ status }) => status === 'rejected');
  if (isNothingPublished || !(refused.reason instanceof GusherError)) throw refused.reason;
  throw new GusherError('outcome_unknown', { cause: refused.reason });
}
