import type { App } from '../shared/apps/app.ts';
import type { Settings } from '../shared/config/settings.ts';
import type { Amounts } from '../shared/ipc/amounts.ts';
import type { BrokerStatus, ToWorker } from '../shared/ipc/messages.ts';
import type { UnexpectedErrors } from '../shared/logging/unexpected-errors.ts';
import { CONTROL_TOPIC } from '../shared/model/control-message.ts';
import { publicationMaxBytes } from '../shared/model/publication-size.ts';
import type { Closers } from '../shared/process/closers.ts';
import type { Recorder } from '../shared/tail/tap.ts';
import type { BrokerListener } from './broker/broker.ts';
import { createBroker } from './broker/create-broker.ts';
import { DuplicateFilter } from './broker/duplicate-filter.ts';
import { Publisher, type PublisherOptions } from './broker/publisher.ts';
import { createFlushCycle } from './flush-cycle.ts';
import { AppCounter } from './hub/app-counter.ts';
import { ClientEvents } from './hub/client-events.ts';
import { ControlHandler } from './hub/control-handler.ts';
import { Hub } from './hub/hub.ts';
import { PresenceClient } from './ipc/presence-client.ts';
import { AppAllowances } from './limits/app-allowances.ts';
import { AppRates } from './limits/app-rates.ts';
import { NameAllowance } from './limits/name-allowance.ts';
import { DeliveryTracker } from './metrics/delivery-tracker.ts';
import type { Tracer } from './tracing/tracer.ts';
import type { WorkerContext } from './worker-context.ts';
import type { WorkerPipe } from './worker-pipe.ts';

/** The state of the host, as the primary reported it last. */
export interface HostState {
  /** Every worker of this host is connected to its broker. */
  readonly live: boolean;
  /** Number of ready workers that are connected. */
  readonly connected: number;
  readonly stopping: boolean;
  /** How often `live` ended. A publication during which it changed may have missed clients. */
  readonly outages: number;
  /** Why presence is not exchanged with other hosts; `undefined` if it is. */
  readonly presenceProblem?: string;
}

export function nextHostState(
  { live: wasLive, outages }: HostState,
  { live, connected, stopping, presenceProblem }: ToWorker & { type: 'host' },
): HostState {
  // While the host stops, its workers close their connections in order.
  const isOutage = wasLive && !live && !stopping;
  return {
    ...{ live, connected, stopping },
    outages: isOutage ? outages + 1 : outages,
    ...(presenceProblem !== undefined && { presenceProblem }),
  };
}

export interface HubOptions extends WorkerContext {
  /** Random; the same for all workers of this host. */
  readonly hostId: string;
  readonly pipe: WorkerPipe;
  readonly host: () => HostState;
  readonly tap: Recorder;
  /** `undefined` without tracing. */
  readonly tracer: Tracer | undefined;
}

export type HubLayer = ReturnType<typeof createHub>;

/** Creates the hub with its broker, its presence client, and the queues that lead to clients and to the primary. */
export function createHub(options: HubOptions) {
  const { settings, hostId, apps, pipe, host, stats, tap, unexpected, clientLog, tracer, log } = options;
  const flushCycle = createFlushCycle({
    ...{ settings, pipe, clientLog, stats },
    onFlushed: () => deliveryTracker.settle(),
  });
  const { sendQueue, fanOut, presenceReporter, webhookReporter } = flushCycle;
  const { broker, relay } = createBroker({
    ...{ settings, hostId, log, stats, pipe },
    connectedWorkers: () => host().connected,
    isIdle: () => fanOut.isIdle,
  });
  const presence = new PresenceClient({
    send: (message) => pipe.send(message),
    flushReports: () => presenceReporter.flush(),
  });
  // Names are rejected until the primary has sent an allowance.
  const names = new NameAllowance(0);
  const appAllowances = new AppAllowances({
    readLimits: async (key) => {
      const app = await apps.find(key).catch(() => apps.remembered(key));
      return limitsOf(app, settings);
    },
    send: (message) => pipe.send(message),
    flushReports: () => presenceReporter.flush(),
  });
  const appRates = new AppRates({
    defaults: settings,
    remembered: (key) => apps.remembered(key),
    send: (message) => pipe.send(message),
    takeSending: () => fanOut.takeSending(),
  });
  const { metricsAppsMax: max } = settings;
  const appCounter = max > 0 ? new AppCounter({ stats, max }) : undefined;
  const deliveryTracker = new DeliveryTracker({
    send: (message) => pipe.send(message),
    isSubscribed: (topic) => hub.hasTopic(topic),
    arrivesInOrder: relay !== undefined,
  });
  const hub: Hub = new Hub({
    broker,
    fanOut,
    presence: presenceReporter,
    names,
    appAllowances,
    stats,
    appCounter,
    tap,
    deliveryTracker,
    tracer,
  });
  const publisherOf = (source: PublisherOptions['source']): Publisher =>
    new Publisher({
      broker,
      host,
      stats,
      tap,
      source,
      onPublished: appCounter && ((appKey) => appCounter.published(appKey)),
      admit: (app, count) => appRates.admitPublications(app, count),
      maxBytes: publicationMaxBytes(settings),
      tracer,
    });
  const clientEvents = new ClientEvents({
    apps,
    hub,
    publisher: publisherOf('client'),
    report: (appKey, event) => webhookReporter.report(appKey, event),
    perSecond: settings.clientEventsPerSecond,
    admit: (app) => appRates.admitClientEvent(app),
  });
  const controlHandler = new ControlHandler({ hub, sendQueue });
  const sendStatus = (status: BrokerStatus): void => {
    const { server } = broker;
    pipe.send({ type: 'brokerStatus', status, ...(server !== undefined && { server }) });
  };
  return {
    ...flushCycle,
    broker,
    relay,
    presence,
    names,
    appAllowances,
    appRates,
    hub,
    deliveryTracker,
    publisher: publisherOf('api'),
    pusherPublisher: publisherOf('pusher_api'),
    clientEvents,
    open: (): Promise<void> =>
      broker.open(createBrokerListener({ hub, controlHandler, unexpected, sendStatus })),
    addClosers: (closers: Closers): void => {
      closers.add('app limits', () => {
        appAllowances.close();
        appRates.close();
      });
      closers.add('presence client', () => presence.close());
      closers.add('broker', () => broker.close());
    },
  };
}

function limitsOf(app: App | undefined, settings: Settings): Amounts {
  return {
    channels: app?.max_channels ?? settings.appChannelsMax,
    subscriptions: app?.max_subscriptions ?? settings.appSubscriptionsMax,
    nameBytes: settings.appNamesMaxBytes,
  };
}

/** Delivers to the hub. An error of one message must not end every worker of every host. */
function createBrokerListener(options: {
  hub: Hub;
  controlHandler: ControlHandler;
  unexpected: UnexpectedErrors;
  sendStatus: (status: BrokerStatus) => void;
}): BrokerListener {
  const { hub, controlHandler, unexpected, sendStatus } = options;
  const duplicates = new DuplicateFilter();
  return {
    // Not `unexpected.run`: a closure per publication would cost more than the rest of this call.
    deliver: (topic, publication) => {
      try {
        if (duplicates.isFirst(topic, publication.id)) hub.deliver(topic, publication);
      } catch (error) {
        unexpected.report(error, 'delivery', { topic });
      }
    },
    control: (message) => {
      if (!duplicates.isFirst(CONTROL_TOPIC, message.id)) return;
      unexpected.run('control_message', () => controlHandler.execute(message));
    },
    statusChanged: (status) => {
      hub.clearCachedEvents();
      sendStatus(status);
    },
    subscriptionRejected: (topic) =>
      unexpected.run('subscription_rejected', () => hub.rejectSubscriptions(topic)),
  };
}
