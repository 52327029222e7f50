import type { PresenceQueryServer } from '../../src/primary/presence/query-server.ts';
import type { App } from '../../src/shared/apps/app.ts';
import type { ToPrimary, ToWorker } from '../../src/shared/ipc/messages.ts';
import { createStats } from '../../src/shared/metrics/stats.ts';
import { FlushScheduler } from '../../src/shared/scheduling/flush-scheduler.ts';
import { Grants } from '../../src/worker/auth/grants.ts';
import { Connection } from '../../src/worker/connection/connection.ts';
import { newSession } from '../../src/worker/connection/pusher-session.ts';
import { SendQueue } from '../../src/worker/connection/send-queue.ts';
import { FanOut } from '../../src/worker/hub/fan-out.ts';
import { Hub } from '../../src/worker/hub/hub.ts';
import { PresenceClient } from '../../src/worker/ipc/presence-client.ts';
import { PresenceReporter } from '../../src/worker/ipc/presence-reporter.ts';
import { PresenceWatch } from '../../src/worker/protocols/pusher/presence/presence-watch.ts';
import { SubscriptionCounts } from '../../src/worker/protocols/pusher/presence/subscription-counts.ts';
import { Watchlists } from '../../src/worker/protocols/pusher/presence/watchlists.ts';
import { PusherProtocol } from '../../src/worker/protocols/pusher/pusher-protocol.ts';
import { frameText } from '../../src/worker/websocket/frame.ts';
import { channelAuth, userAuth } from './pusher-client.ts';
import { RecordingTransport } from './transport.ts';

export const WORKER_APP = { key: 'demo', secret: 's', id: '1', enabled: true } satisfies App;

const nextTick = (): Promise<void> => new Promise(setImmediate);

let count = 0;

/**
 * The Pusher protocol of one worker, its hub and the primary's presence registry, without sockets and processes: for
 * tests of races. Every reply arrives at least one event-loop tick later.
 */
export class PusherWorker {
  readonly stats = createStats();
  readonly hub: Hub;
  readonly protocol: PusherProtocol;
  /** Messages from the primary. */
  readonly received: ToWorker[] = [];
  app: App = WORKER_APP;
  isAppKnown = true;
  /** The broker's behaviour when the hub subscribes to a topic. */
  subscribeTopic: () => Promise<void> = nextTick;
  /** Delivers messages to the primary; a test may delay them. */
  deliverToPrimary: (deliver: () => void) => void = setImmediate;
  readonly #presence: PresenceClient;

  constructor(
    queryServer: PresenceQueryServer,
    name: string,
    { presenceTimeoutMs }: { presenceTimeoutMs?: number } = {},
  ) {
    const { stats } = this;
    const scheduler: FlushScheduler = new FlushScheduler([
      () => fanOut.flush(),
      () => reporter.flush(),
      () => sendQueue.flush(),
    ]);
    const scheduleFlush = (): void => scheduler.schedule();
    const send = (message: ToPrimary): void =>
      this.deliverToPrimary(() => queryServer.receive(name, message as never));
    const sendQueue = new SendQueue({ maxBytes: 1_000_000, stats, scheduleFlush });
    const fanOut = new FanOut({ sendQueue, stats, scheduleFlush });
    const reporter = new PresenceReporter({ send, scheduleFlush });
    const presence = new PresenceClient({
      send,
      flushReports: () => reporter.flush(),
      ...(presenceTimeoutMs !== undefined && { timeoutMs: presenceTimeoutMs }),
    });
    queryServer.open(name, (message) => {
      setImmediate(() => {
        this.received.push(message);
        presence.receive(message as never);
      });
    });
    const broker = {
      subscribe: () => this.subscribeTopic(),
      unsubscribe: () => undefined,
      cached: () => nextTick().then(() => undefined),
    };
    const hub = new Hub({ broker, fanOut, presence: reporter, stats });
    const announce = (appKey: string, channel: string, text: string): void =>
      hub.announce(appKey, channel, this.protocol, text);
    const reply = (connection: Connection, text: string): void =>
      sendQueue.enqueue(connection, frameText(text));
    this.hub = hub;
    this.#presence = presence;
    this.protocol = new PusherProtocol({
      hub,
      apps: {
        peek: () => (this.isAppKnown ? this.app : undefined),
        find: () => nextTick().then(() => this.app),
      },
      broker,
      publishFromClient: async () => undefined,
      joinPace: { wait: () => undefined },
      presence: new PresenceWatch({ presence, announce }),
      counts: new SubscriptionCounts({ presence, announce }),
      watchlists: new Watchlists({ presence, reply, hub }),
      report: () => undefined,
      reply,
      close: (connection, error) => sendQueue.close(connection, error),
      countProtocolError: () => undefined,
      authorizationRejected: () => undefined,
      subscriptionRejected: () => undefined,
      limits: {
        subscriptionsMax: 100,
        presenceMembersMax: 100,
        memberInfoMaxBytes: 100,
        clientEventMaxBytes: 100,
      },
    });
    presence.onEvents((events) => this.protocol.handlePresenceEvents(events));
  }

  connect(): { connection: Connection; transport: RecordingTransport } {
    const transport = new RecordingTransport();
    count += 1;
    const identity = { id: `1.${count}`, appKey: WORKER_APP.key, userId: '' };
    const connection = new Connection(identity, new Grants([]), this.protocol, transport);
    connection.pusher = newSession(true, 7);
    this.hub.add(connection);
    return { connection, transport };
  }

  /** Processes a message of a client; resolves when the command is complete. */
  async receive(connection: Connection, event: string, data: object): Promise<void> {
    await this.protocol.receive(connection, Buffer.from(JSON.stringify({ event, data })), false);
  }

  /** Subscribes; to a presence channel as `userId`, which is JSON. */
  async subscribe(connection: Connection, channel: string, userId = '"u"'): Promise<void> {
    const channelData = channel.startsWith('presence-') ? `{"user_id":${userId}}` : undefined;
    await this.receive(connection, 'pusher:subscribe', {
      channel,
      auth: channelAuth(WORKER_APP, connection.id, channel, channelData),
      ...(channelData !== undefined && { channel_data: channelData }),
    });
  }

  async signIn(connection: Connection, userData: string): Promise<void> {
    const auth = userAuth(WORKER_APP, connection.id, userData);
    await this.receive(connection, 'pusher:signin', { auth, user_data: userData });
  }

  /** Removes a client, as the worker does when the socket has closed. */
  leave(connection: Connection): void {
    connection.state = 'closed';
    this.hub.remove(connection);
    this.protocol.connectionClosed(connection);
  }

  close(): void {
    this.#presence.close();
    this.protocol.close();
  }
}

/** The messages that a client received. */
export function textsOf({ writes }: RecordingTransport): string[] {
  return writes.flat();
}
