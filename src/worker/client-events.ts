import type { Apps } from '../shared/apps.ts';
import { RefusalError } from '../shared/errors.ts';
import type { Publication } from '../shared/publication.ts';
import { isChannelName, isEventName } from '../shared/topic.ts';
import type { Connection } from './connection.ts';
import type { Hub } from './hub.ts';
import type { Publisher } from './publisher.ts';

const PREFIX = 'client-';
const MS_PER_SECOND = 1_000;

/** Events that clients send to each other, where their app allows it. */
export class ClientEvents {
  readonly #apps: Pick<Apps, 'find'>;
  readonly #hub: Pick<Hub, 'isSubscribed'>;
  readonly #publisher: Pick<Publisher, 'publish'>;
  readonly #perSecond: number;

  constructor(options: {
    apps: Pick<Apps, 'find'>;
    hub: Pick<Hub, 'isSubscribed'>;
    publisher: Pick<Publisher, 'publish'>;
    perSecond: number;
  }) {
    this.#apps = options.apps;
    this.#hub = options.hub;
    this.#publisher = options.publisher;
    this.#perSecond = options.perSecond;
  }

  /**
   * Publishes to everybody in the channel but the sender, who must be in it. Rejects with a `RefusalError`:
   * `client_events_off`, `bad_client_event`, `bad_channel`, `not_subscribed`, `too_many_client_events`, or what the
   * broker says.
   */
  async publish(sender: Connection, { channel, event, data }: Publication): Promise<void> {
    if (!event.startsWith(PREFIX) || !isEventName(event)) throw new RefusalError('bad_client_event');
    if (!isChannelName(channel)) throw new RefusalError('bad_channel');
    this.#count(sender);
    const app = await this.#apps.find(sender.appKey);
    if (app?.client_events !== true) throw new RefusalError('client_events_off');
    if (!this.#hub.isSubscribed(sender, channel)) throw new RefusalError('not_subscribed');
    await this.#publisher.publish(app.key, { channel, event, data, except: sender.id, fromClient: true });
  }

  /** Attack: one client that makes work for all others in its channel. */
  #count(sender: Connection): void {
    const second = Math.floor(performance.now() / MS_PER_SECOND);
    if (sender.clientEventSecond !== second) {
      sender.clientEventSecond = second;
      sender.clientEvents = 0;
    }
    if (sender.clientEvents >= this.#perSecond) throw new RefusalError('too_many_client_events');
    sender.clientEvents += 1;
  }
}
