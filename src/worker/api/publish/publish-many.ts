import type { Publication } from '../../../shared/model/publication.ts';
import type { Publisher } from '../../broker/publisher.ts';

/**
 * What is handed in before the broker's answer is waited for, and others get their turn of the loop: enough to pay
 * for the wait, little beside what may be in flight.
 */
const MESSAGES_PER_STEP = 500;
const BYTES_PER_STEP = 4 * 1024 * 1024;

/** Publishes in order. Rejects with what the broker refuses; what was published before that stays so. */
export async function publishMany(
  publisher: Pick<Publisher, 'publish'>,
  appKey: string,
  publications: Iterable<Publication>,
): Promise<void> {
  let step: Promise<void>[] = [];
  let bytes = 0;
  for (const publication of publications) {
    step.push(publisher.publish(appKey, publication));
    bytes += publication.data.length;
    if (step.length < MESSAGES_PER_STEP && bytes < BYTES_PER_STEP) continue;
    await Promise.all(step);
    await new Promise(setImmediate);
    step = [];
    bytes = 0;
  }
  await Promise.all(step);
}
