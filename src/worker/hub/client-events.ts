import type { App } from '../../shared/apps/app.ts';
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

/** Publishes events that clients send to each other, if their app allows it (`client_events`). */
export class ClientEvents {
  readonly #apps: Pick<AppRegistry, 'find'>;
  readonly #hub: Pick<Hub, 'isSubscribed'>;
  readonly #publisher: Pick<Publisher, 'publish'>;
  readonly #report: (appKey: string, event: WebhookEvent) => void;
  readonly #perSecond: number;
  readonly #admit: (app: App) => Promise<void> | undefined;

  /**
   * `report` passes an event to the webhook of the app. `perSecond` is the limit of one client; `admit` throws or rejects if
   * the app has reached a limit.
   */
  constructor(options: {
    apps: Pick<AppRegistry, 'find'>;
    hub: Pick<Hub, 'isSubscribed'>;
    publisher: Pick<Publisher, 'publish'>;
    report: (appKey: string, event: WebhookEvent) => void;
    perSecond: number;
    admit: (app: App) => Promise<void> | undefined;
  }) {
    this.#admit = options.admit;
    this.#apps = options.apps;
    this.#hub = options.hub;
    this.#publisher = options.publisher;
    this.#report = options.report;
    this.#perSecond = options.perSecond;
  }

  /**
   * Publishes an event to all other subscribers of the channel; the sender must be subscribed. In a presence channel
   * the publication carries the member id of the sender. Rejects with a `GusherError`: `client_events_off`,
   * `bad_client_event`, `bad_channel`, `not_subscribed`, `too_many_client_events`, an error of `admit`, or one of the broker.
   */
  async publish(sender: Connection, { channel, event, data }: Publication): Promise<void> {
    if (!event.startsWith(PREFIX) || !isEventName(event)) throw new GusherError('bad_client_event');
    if (!isChannelName(channel)) throw new GusherError('bad_channel');
    const app = await this.#apps.find(sender.appKey);
    if (app?.client_events !== true) throw new GusherError('client_events_off');
    countEvent(sender, app.client_events_per_second ?? this.#perSecond, performance.now());
    if (!this.#hub.isSubscribed(sender, channel)) throw new GusherError('not_subscribed');
    await this.#admit(app);
    const publication = { channel, event, data, except: sender.id, fromClient: true } as const;
    const userId = isPresenceChannel(channel) ? memberIdIn(sender, channel) : '';
    await this.#publisher.publish(app.key, { ...publication, ...(userId !== '' && { userId }) });
    this.#report(app.key, {
      name: 'client_event',
      channel,
      event,
      data: textOf(data),
      socket_id: sender.id,
      ...(userId !== '' && { user_id: userId }),
    });
  }
}

/** Attack: a client that floods its channels. The second starts with the first event in it. */
function countEvent(sender: Connection, perSecond: number, now: number): void {
  if (now - sender.clientEventsSince >= SECOND_MS) {
    sender.clientEventsSince = now;
    sender.clientEvents = 0;
  }
  if (sender.clientEvents >= perSecond) throw new GusherError('too_many_client_events');
  sender.clientEvents += 1;
}

function memberIdIn({ members, userId }: Connection, channel: string): string {
  return members?.get(channel)?.user ?? userId;
}

/** A webhook carries text: a string as the client sent it, anything else as JSON. */
function textOf(data: string): string {
  const value: unknown = JSON.parse(data);
  return typeof value === 'string' ? value : data;
}
