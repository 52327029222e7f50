import type { App } from '../../../shared/apps/app.ts';
import { publicationOfText } from '../../../shared/model/publication.ts';
import type { Publisher } from '../../broker/publisher.ts';
import type { PusherEvent } from './event.ts';

/** Publishes an event to each of its channels. Rejects with `broker_lost` or `broker_busy`. */
export async function publishEvent(
  publisher: Pick<Publisher, 'publish'>,
  app: App,
  { name, channels, data, socketId }: PusherEvent,
): Promise<void> {
  const publications = channels.map((channel) => publicationOfText(channel, name, data, socketId));
  await Promise.all(publications.map((publication) => publisher.publish(app.key, publication)));
}
