import type { App } from '../../../shared/apps/app.ts';
import type { AppRegistry } from '../../../shared/apps/app-registry.ts';
import { type ErrorCode, type ErrorEntry, GusherError } from '../../../shared/errors/catalogue.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import { sliceMembers, stringOf } from '../../../shared/json/raw-json.ts';
import type { Publication } from '../../../shared/model/publication.ts';
import type { WebhookEvent } from '../../../shared/model/webhook-event.ts';
import type { Broker } from '../../broker/broker.ts';
import type { Connection, Reply } from '../../connection/connection.ts';
import type { PusherSession } from '../../connection/pusher-session.ts';
import type { Hub } from '../../hub/hub.ts';
import type { JoinPace } from '../../limits/join-pace.ts';
import type { PresenceWatch } from './presence/presence-watch.ts';
import type { SubscriptionCounts } from './presence/subscription-counts.ts';
import type { Watchlists } from './presence/watchlists.ts';

/** One message of a client: `{"event", "channel"?, "data"?}`. */
export interface Command {
  readonly event: string;
  readonly channel: string | undefined;
  /** The JSON text of `data`. */
  readonly data: string | undefined;
}

export interface Limits {
  readonly subscriptionsMax: number;
  readonly presenceMembersMax: number;
  readonly memberInfoMaxBytes: number;
  readonly clientEventMaxBytes: number;
}

/** The dependencies of the commands. */
export interface Context {
  readonly hub: Pick<
    Hub,
    | 'subscribePendingUntilLive'
    | 'subscribePending'
    | 'activate'
    | 'activateAs'
    | 'cachedEvent'
    | 'unsubscribe'
    | 'runWithin'
    | 'isSubscribed'
    | 'setUser'
  >;
  readonly apps: Pick<AppRegistry, 'find' | 'peek'>;
  readonly broker: Pick<Broker, 'cached'>;
  /** Publishes a client event to the other subscribers of the channel. Rejects with a `GusherError`. */
  readonly publishFromClient: (sender: Connection, publication: Publication) => Promise<void>;
  readonly joinPace: Pick<JoinPace, 'wait'>;
  readonly presence: PresenceWatch;
  readonly counts: SubscriptionCounts;
  readonly watchlists: Watchlists;
  /** Passes an event to the webhook of the app. */
  readonly report: (appKey: string, event: WebhookEvent) => void;
  /** Sends one message, after those enqueued before. */
  readonly reply: Reply;
  /** Logs that a credential was rejected. */
  readonly authorizationRejected: (connection: Connection, error: ErrorEntry, channel?: string) => void;
  /** Shows a rejected subscription to tails. */
  readonly subscriptionRejected: (connection: Connection, code: string, channel: string) => void;
  readonly limits: Limits;
}

/**
 * Executes a command and answers it. A promise is pending until the command is finished. An error code means that the
 * handler did nothing and sent no answer.
 */
export type CommandHandler = (
  context: Context,
  connection: Connection,
  command: Command,
  session: PusherSession,
) => Promise<ErrorCode | undefined> | ErrorCode | undefined;

/** Parses a message. `undefined` if it is not a JSON object with an event. */
export function parseCommand(text: string): Command | undefined {
  const members = sliceMembers(text);
  const event = stringOf(members?.get('event'));
  if (event === undefined) return undefined;
  return { event, channel: stringOf(members?.get('channel')), data: members?.get('data') };
}

/** The members of the object `data`. Some clients send the object as a JSON string. */
export function fieldsOf({ data }: Command): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(data ?? '{}');
  const fields = typeof value === 'string' ? parseJson(value) : value;
  return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>) : {};
}

/** The current app of a connection. Rejects with `unknown_app` or `apps_unavailable`. */
export async function appOf({ apps }: Context, { appKey }: Connection): Promise<App> {
  const app = apps.peek(appKey) ?? (await apps.find(appKey));
  if (app === undefined) throw new GusherError('unknown_app');
  return app;
}
