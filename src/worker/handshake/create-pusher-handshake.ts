import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { ClientLog } from '../../shared/logging/client-log.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import type { Broker } from '../broker/broker.ts';
import type { Connection } from '../connection/connection.ts';
import type { ReceiveQueue } from '../connection/receive-queue.ts';
import { factsOf, type SendQueue } from '../connection/send-queue.ts';
import type { ClientEvents } from '../hub/client-events.ts';
import type { Hub } from '../hub/hub.ts';
import type { PresenceClient } from '../ipc/presence-client.ts';
import type { WebhookReporter } from '../ipc/webhook-reporter.ts';
import { JoinPace } from '../protocols/pusher/presence/join-pace.ts';
import { PresenceWatch } from '../protocols/pusher/presence/presence-watch.ts';
import { SubscriptionCounts } from '../protocols/pusher/presence/subscription-counts.ts';
import { Watchlists } from '../protocols/pusher/presence/watchlists.ts';
import { PusherProtocol } from '../protocols/pusher/pusher-protocol.ts';
import type { ConnectionQuota } from './connection-quota.ts';
import { PusherHandshake } from './pusher-handshake.ts';

/** What Pusher clients share with all others. */
export interface PusherDependencies {
  readonly settings: Settings;
  readonly apps: AppRegistry;
  readonly hub: Hub;
  readonly broker: Broker;
  readonly sendQueue: SendQueue;
  readonly receiveQueue: ReceiveQueue;
  readonly presence: PresenceClient;
  readonly clientEvents: ClientEvents;
  readonly webhookReporter: WebhookReporter;
  readonly reply: (connection: Connection, text: string) => void;
  readonly unexpected: UnexpectedErrors;
  readonly clientLog: ClientLog;
  readonly quota: ConnectionQuota;
}

/** Joins the parts that only Pusher clients need: behind their door stands their protocol. */
export function createPusherHandshake(dependencies: PusherDependencies): PusherHandshake {
  const { settings, apps, sendQueue, quota, unexpected, clientLog } = dependencies;
  return new PusherHandshake({
    apps,
    protocol: createPusherProtocol(dependencies),
    sendQueue,
    quota,
    unexpected,
    clientLog,
    pathPrefix: settings.pusherPathPrefix,
    strictProtocol: settings.pusherStrictProtocol,
    activityTimeoutS: settings.pusherActivityTimeoutS,
    connectsPerSecond: settings.pusherConnectsPerSecond / settings.workers,
    admissionTimeoutMs: settings.pusherAdmissionTimeoutMs,
    authorizationTimeoutMs: settings.pusherAuthorizationTimeoutMs,
    admissionQueueMax: settings.pusherAdmissionQueueMax / settings.workers,
  });
}

function createPusherProtocol(dependencies: PusherDependencies): PusherProtocol {
  const {
    settings,
    apps,
    hub,
    broker,
    receiveQueue,
    presence,
    clientEvents,
    webhookReporter,
    reply,
    clientLog,
  } = dependencies;
  const announce = (appKey: string, channel: string, text: string): void =>
    hub.announce(appKey, channel, protocol, text);
  const protocol: PusherProtocol = new PusherProtocol({
    hub,
    apps,
    broker,
    publishFromClient: (connection, publication) => clientEvents.publish(connection, publication),
    joinPace: new JoinPace({
      perClientPerSecond: settings.pusherPresenceJoinsPerSecond,
      perChannelPerSecond: settings.pusherPresenceChannelJoinsPerSecond,
    }),
    presence: new PresenceWatch({ presence, announce }),
    counts: new SubscriptionCounts({ presence, announce }),
    watchlists: new Watchlists({ presence, reply }),
    report: (appKey, event) => webhookReporter.report(appKey, event),
    reply,
    countProtocolError: (connection) => receiveQueue.countProtocolError(connection),
    authorizationRefused: (connection, error, channel) =>
      clientLog.authorizationRefused(error, { ...factsOf(connection), channel }),
    limits: {
      subscriptionsMax: settings.subscriptionsMax,
      presenceMembersMax: settings.pusherPresenceMembersMax,
      memberInfoMaxBytes: settings.pusherMemberInfoMaxBytes,
      clientEventMaxBytes: settings.pusherEventMaxBytes,
    },
  });
  presence.onEvents((events) => protocol.handlePresenceEvents(events));
  return protocol;
}
