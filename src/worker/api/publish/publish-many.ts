import { GusherError } from '../../../shared/errors/catalogue.ts';
import type { Publication } from '../../../shared/model/publication.ts';
import type { ChannelPublisher } from '../../broker/publisher.ts';

/**
 * Messages and bytes per step. Between two steps this worker waits for the broker and handles other work. A step is large
 * enough to pay for the wait, and small beside the broker's bound of bytes in flight.
 */
const MESSAGES_PER_STEP = 500;
const BYTES_PER_STEP = 4 * 1024 * 1024;

/**
 * Publishes in order. The caller has checked the publications. Rejects with the error of the broker if nothing was
 * published, and with `outcome_unknown` if some publications were, which stay published.
 */
export async function publishMany(
  publisher: Pick<ChannelPublisher, 'publish'>,
  appKey: string,
  publications: readonly Publication[],
): Promise<void> {
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

/** Resolves if all were published. `isFirst`: the request has published nothing before these. */
export async function allPublished(publishing: readonly Promise<void>[], isFirst = true): Promise<void> {
  const outcomes = await Promise.allSettled(publishing);
  const rejected = outcomes.find((outcome) => outcome.status === 'rejected');
  if (rejected === undefined) return;
  const isNothingPublished = isFirst && outcomes.every(({ status }) => status === 'rejected');
  if (isNothingPublished || !(rejected.reason instanceof GusherError)) throw rejected.reason;
  throw new GusherError('outcome_unknown', { cause: rejected.reason });
}
