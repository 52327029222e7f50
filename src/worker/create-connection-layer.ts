import type { Server } from 'node:http';
import type { ErrorEntry } from '../shared/errors/catalogue.ts';
import { BODILESS_METHODS } from '../shared/http/request-rules.ts';
import { countError } from '../shared/metrics/stats.ts';
import type { Closers } from '../shared/process/closers.ts';
import type { Recorder } from '../shared/tail/tap.ts';
import type { Auth } from './auth/create-auth.ts';
import type { Connection, Reply } from './connection/connection.ts';
import { ConnectionEvents } from './connection/connection-events.ts';
import { ReceiveQueue } from './connection/receive-queue.ts';
import type { HubLayer } from './create-hub.ts';
import { ConnectionQuota } from './handshake/connection-quota.ts';
import { GusherHandshake } from './handshake/gusher/gusher-handshake.ts';
import { createPusherHandshake } from './handshake/pusher/create-pusher-handshake.ts';
import { UpgradeHandler } from './handshake/upgrade-handler.ts';
import { WebSocketHandshake } from './handshake/websocket-handshake.ts';
import { Heartbeat } from './lifecycle/heartbeat.ts';
import { IdleTimeout } from './lifecycle/idle-timeout.ts';
import { TokenExpiry } from './lifecycle/token-expiry.ts';
import { JoinPace } from './limits/join-pace.ts';
import { createGusherProtocol } from './protocols/gusher/create-gusher-protocol.ts';
import { createPusherProtocol } from './protocols/pusher/create-pusher-protocol.ts';
import { createRemoteSink } from './remote/create-sink.ts';
import { frameText } from './websocket/frame.ts';
import { FrameWriter } from './websocket/frame-writer.ts';
import type { WorkerContext } from './worker-context.ts';

export interface ConnectionLayerOptions extends WorkerContext {
  readonly auth: Auth;
  readonly hubLayer: HubLayer;
  /** The HTTP server of the public port, which emits `upgrade`. */
  readonly server: Server;
  readonly tap: Recorder;
}

export type ConnectionLayer = ReturnType<typeof createConnectionLayer>;

/** Creates what turns upgrade requests into connections, and keeps, limits and closes those connections. */
export function createConnectionLayer(options: ConnectionLayerOptions) {
  const { settings, apps, auth, hubLayer, server, stats, tap, unexpected, clientLog, log } = options;
  const { hub, broker, presence, sendQueue, sockets, clientEvents, webhookReporter } = hubLayer;
  const { bodyMaxBytes, messageMaxBytes, compression } = settings;

  const receiveQueue = new ReceiveQueue({ ...settings, sendQueue, unexpected, stats });
  const heartbeat = new Heartbeat({
    intervalMs: settings.heartbeatIntervalMs,
    hub,
    sendQueue,
    unexpected,
  });
  const idleTimeout = new IdleTimeout({ afterMs: settings.pusherIdleTimeoutMs, hub, sendQueue, unexpected });
  const expiry = new TokenExpiry({
    sendQueue,
    graceMs: settings.tokenRefreshGraceMs,
    unexpected,
    now: Date.now,
  });
  const remoteSink = createRemoteSink({ settings, log });
  const reply: Reply = (connection, text, errorCode) => {
    if (errorCode !== undefined) countError(stats, 'command', errorCode);
    sendQueue.enqueue(connection, frameText(text));
  };
  const joinPace = new JoinPace({
    perClientPerSecond: settings.pusherPresenceJoinsPerSecond,
    perChannelPerSecond: settings.pusherPresenceChannelJoinsPerSecond,
  });
  const shared = { settings, apps, hub, receiveQueue, clientEvents, joinPace, clientLog, reply };
  const protocol = createGusherProtocol({ ...shared, tokens: auth.tokens, expiry, remoteSink });
  const pusherProtocol = createPusherProtocol({
    ...shared,
    broker,
    sendQueue,
    presence,
    webhookReporter,
  });

  /** Closes a connection by the rules of its protocol. */
  const closeWithError = (connection: Connection, error: ErrorEntry): void => {
    if (connection.pusher === undefined) sendQueue.close(connection, error);
    else pusherProtocol.closeWithError(connection, error);
  };
  const quota = new ConnectionQuota({ apps, hub, presence, end: closeWithError });
  const frameWriter = new FrameWriter();
  const connections = new ConnectionEvents({
    registry: hub,
    receiveQueue,
    sendQueue,
    frameWriter,
    unexpected,
    stats,
    onRemoved: (connection) => {
      expiry.untrack(connection);
      // The primary routes only by ids of native clients.
      if (connection.pusher === undefined) sockets.reportClosed(connection.id);
    },
  });
  const handshake = new WebSocketHandshake({ messageMaxBytes, compression, unexpected, clientLog });
  const { authenticator } = auth;
  const common = { apps, handshake, connections, sendQueue, quota, unexpected, clientLog };
  const upgrade = new UpgradeHandler({
    server,
    handshake,
    gusherHandshake: new GusherHandshake({ ...common, tap, authenticator, protocol, sockets, expiry }),
    pusherHandshake: createPusherHandshake(settings, { ...common, protocol: pusherProtocol }),
    unexpected,
    limits: { bodyMaxBytes, bodiless: BODILESS_METHODS },
    trustedProxies: settings.trustedProxies,
  });

  /** Chooses how frames are written: directly to the system if this version of Node supports it. */
  const probeDirectWrites = async (): Promise<void> => {
    if (!settings.directWrites || (await frameWriter.probe())) return;
    log.warn(
      { event: 'direct_writes_unavailable' },
      'direct writes unavailable on this Node.js version, using socket.write',
    );
  };
  return {
    upgrade,
    closeWithError,
    open: probeDirectWrites,
    addClosers: (closers: Closers): void => {
      closers.add('token expiry', () => expiry.close());
      closers.add('receive queue', () => receiveQueue.close());
      closers.add('idle timeout', () => idleTimeout.close());
      closers.add('heartbeat', () => heartbeat.close());
      closers.add('Pusher protocol', () => pusherProtocol.close());
      closers.add('connection quota', () => quota.close());
      closers.add('remote sink', () => remoteSink.close());
    },
  };
}
