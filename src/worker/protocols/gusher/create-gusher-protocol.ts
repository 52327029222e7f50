import type { AppRegistry } from '../../../shared/apps/app-registry.ts';
import type { Settings } from '../../../shared/config/settings.ts';
import type { ClientLog } from '../../../shared/logging/client-log.ts';
import type { TokenVerifier } from '../../auth/token-verifier.ts';
import type { Reply } from '../../connection/connection.ts';
import type { ReceiveQueue } from '../../connection/receive-queue.ts';
import { factsOf } from '../../connection/send-queue.ts';
import type { ClientEvents } from '../../hub/client-events.ts';
import type { Hub } from '../../hub/hub.ts';
import type { TokenExpiry } from '../../lifecycle/token-expiry.ts';
import type { JoinPace } from '../../limits/join-pace.ts';
import { type RemoteSink, Remotes } from '../../remote/remotes.ts';
import { GusherProtocol } from './gusher-protocol.ts';
import { TokenRefresh } from './token-refresh.ts';

/** Creates the native protocol and the parts that only its clients need. */
export function createGusherProtocol(dependencies: {
  settings: Settings;
  apps: AppRegistry;
  tokens: TokenVerifier;
  hub: Hub;
  receiveQueue: ReceiveQueue;
  expiry: TokenExpiry;
  clientEvents: ClientEvents;
  joinPace: JoinPace;
  remoteSink: RemoteSink;
  clientLog: ClientLog;
  reply: Reply;
}): GusherProtocol {
  const {
    settings,
    apps,
    tokens,
    hub,
    receiveQueue,
    expiry,
    clientEvents,
    joinPace,
    remoteSink,
    clientLog,
    reply,
  } = dependencies;
  const tokenRefresh = new TokenRefresh({ apps, tokens, hub, expiry });
  const remotes = new Remotes({ apps, sink: remoteSink });
  return new GusherProtocol({
    hub,
    joinPace,
    reply,
    countProtocolError: (connection) => receiveQueue.countProtocolError(connection),
    authorizationRejected: (connection, error) => clientLog.authorizationRejected(error, factsOf(connection)),
    subscriptionRejected: (connection, code, channel) =>
      clientLog.subscriptionRejected(code, () => ({
        ...factsOf(connection),
        user: connection.userId || undefined,
        channel,
      })),
    publishFromClient: (connection, publication) => clientEvents.publish(connection, publication),
    callRemote: (connection, call) => remotes.call(connection, call),
    refreshToken: (connection, token) => tokenRefresh.refresh(connection, token),
    subscriptionsMax: settings.subscriptionsMax,
    now: Date.now,
  });
}
