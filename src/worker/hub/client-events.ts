import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import { isChannelName, isEventName } from '../../shared/model/names.ts';
import type { Publication } from '../../shared/model/publication.ts';
import { isPresenceChannel } from '../../shared/model/pusher-channel.ts';
import type { WebhookEvent } from '../../shared/model/webhook-event.ts';
import type { Publisher } from '../broker/publisher.ts';
import type { Connection } from '../connection/connection.ts';
import type { Hub } from './hub.ts';

const PREFIX = 'client-';
const SECOND_MS = 1_000;

/** Events that clients send to each other, where their app allows it. */
export class ClientEvents {
  readonly #apps: Pick<AppRegistry, 'find'>;
  readonly #hub: Pick<Hub, 'isSubscribed'>;
  readonly #publisher: Pick<Publisher, 'publish'>;
  readonly #report: (appKey: string, event: WebhookEvent) => void;
  readonly #perSecond: number;

  /** `report` tells the webhook of the app, if it wants to know. */
  constructor(options: {
    apps: Pick<AppRegistry, 'find'>;
    hub: Pick<Hub, 'isSubscribed'>;
    publisher: Pick<Publisher, 'publish'>;
    report: (appKey: string, event: WebhookEvent) => void;
    perSecond: number;
  }) {
    this.#apps = options.apps;
    this.#hub = options.hub;
    this.#publisher = options.publisher;
    this.#report = options.report;
    this.#perSecond = options.perSecond;
  }

  /**
   * Publishes to everybody in the channel but the sender, who must be in it; in a presence channel with its name
   * there. Rejects with a `GusherError`: `client_events_off`, `bad_client_event`, `bad_channel`, `not_subscribed`,
   * `too_many_client_events`, or what the broker says.
   */
  async publish(sender: Connection, { channel, event, data }: Publication): Promise<void> {
    if (!event.startsWith(PREFIX) || !isEventName(event)) throw new GusherError('bad_client_event');
    if (!isChannelName(channel)) throw new GusherError('bad_channel');
    const app = await this.#apps.find(sender.appKey);
    if (app?.client_events !== true) throw new GusherError('client_events_off');
    count(sender, app.client_events_per_second ?? this.#perSecond, performance.now());
    if (!this.#hub.isSubscribed(sender, channel)) throw new GusherError('not_subscribed');
    const publication = { channel, event, data, except: sender.id, fromClient: true } as const;
    const name = isPresenceChannel(channel) ? nameIn(sender, channel) : '';
    await this.#publisher.publish(app.key, { ...publication, ...(name !== '' && { userId: name }) });
    this.#report(app.key, {
      name: 'client_event',
      channel,
      event,
      data: textOf(data),
      socket_id: sender.id,
      ...(name !== '' && { user_id: name }),
    });
  }
}

/** Attack: one client that makes work for all others in its channel. A second begins with the first event in it. */
function count(sender: Connection, perSecond: number, now: number): void {
  if (now - sender.clientEventsSince >= SECOND_MS) {
    sender.clientEventsSince = now;
    sender.clientEvents = 0;
  }
  if (sender.clientEvents >= perSecond) throw new GusherError('too_many_client_events');
  sender.clientEvents += 1;
}

function nameIn({ members, userId }: Connection, channel: string): string {
  return members?.get(channel)?.user ?? userId;
}

/** Webhooks get text: the string that the client sent, or else the JSON of what it sent. */
function textOf(data: string): string {
  const value: unknown = JSON.parse(data);
  return typeof value === 'string' ? value : data;
}
