import type { AppRegistry } from '../../../shared/apps/app-registry.ts';
import type { Settings } from '../../../shared/config/settings.ts';
import type { ClientLog } from '../../../shared/logging/client-log.ts';
import type { Broker } from '../../broker/broker.ts';
import type { Reply } from '../../connection/connection.ts';
import type { ReceiveQueue } from '../../connection/receive-queue.ts';
import { factsOf, type SendQueue } from '../../connection/send-queue.ts';
import type { ClientEvents } from '../../hub/client-events.ts';
import type { Hub } from '../../hub/hub.ts';
import type { PresenceClient } from '../../ipc/presence-client.ts';
import type { WebhookReporter } from '../../ipc/webhook-reporter.ts';
import type { JoinPace } from '../../limits/join-pace.ts';
import { PresenceWatch } from './presence/presence-watch.ts';
import { SubscriptionCounts } from './presence/subscription-counts.ts';
import { Watchlists } from './presence/watchlists.ts';
import { PusherProtocol } from './pusher-protocol.ts';

/** Creates the Pusher protocol and the parts that only its clients need. */
export function createPusherProtocol({
  settings,
  apps,
  hub,
  broker,
  sendQueue,
  receiveQueue,
  presence,
  clientEvents,
  joinPace,
  webhookReporter,
  clientLog,
  reply,
}: {
  settings: Settings;
  apps: AppRegistry;
  hub: Hub;
  broker: Broker;
  sendQueue: SendQueue;
  receiveQueue: ReceiveQueue;
  presence: PresenceClient;
  clientEvents: ClientEvents;
  joinPace: JoinPace;
  webhookReporter: WebhookReporter;
  clientLog: ClientLog;
  reply: Reply;
}): PusherProtocol {
  const announce = (appKey: string, channel: string, text: string): void =>
    hub.announce(appKey, channel, protocol, text);
  const protocol: PusherProtocol = new PusherProtocol({
    hub,
    apps,
    broker,
    publishFromClient: (connection, publication) => clientEvents.publish(connection, publication),
    joinPace,
    presence: new PresenceWatch({ presence, announce }),
    counts: new SubscriptionCounts({ presence, announce }),
    watchlists: new Watchlists({ presence, reply, hub }),
    report: (appKey, event) => webhookReporter.report(appKey, event),
    reply,
    close: (connection, error) => sendQueue.close(connection, error),
    countProtocolError: (connection) => receiveQueue.countProtocolError(connection),
    authorizationRejected: (connection, error, channel) =>
      clientLog.authorizationRejected(error, { ...factsOf(connection), channel }),
    subscriptionRejected: (connection, code, channel) =>
      clientLog.subscriptionRejected(code, () => ({
        ...factsOf(connection),
        user: connection.userId || undefined,
        channel,
      })),
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
