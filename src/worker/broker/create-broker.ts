import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/logging/log.ts';
import type { Stats } from '../../shared/metrics/stats.ts';
import { publicationMaxBytes } from '../../shared/model/publication-size.ts';
import type { Broker } from './broker.ts';
import { RedisBroker } from './redis/redis-broker.ts';
import { type PrimaryPipe, RelayBroker } from './relay-broker.ts';

export interface CreateBrokerOptions {
  readonly settings: Settings;
  /** Random; the same for all workers of this host. */
  readonly hostId: string;
  /** Returns the number of workers of this host that are connected to the broker. */
  readonly connectedWorkers: () => number;
  readonly log: Logger;
  readonly stats: Stats;
  /** The pipe of the embedded broker. */
  readonly pipe: PrimaryPipe;
  /** Returns true while turns of the event loop are short. */
  readonly isIdle: () => boolean;
}

/** Creates the Redis broker, or without Redis the embedded one; `relay` is set for the embedded broker only. */
export function createBroker(options: CreateBrokerOptions): {
  broker: Broker;
  relay: RelayBroker | undefined;
} {
  const { settings, hostId, connectedWorkers, log, stats, pipe, isIdle } = options;
  const { redisUrl: url, redisPrefix: prefix } = settings;
  if (url === undefined) {
    const relay = new RelayBroker({ pipe, isIdle });
    return { broker: relay, relay };
  }
  const maxBytes = publicationMaxBytes(settings);
  const broker = new RedisBroker({ url, prefix, hostId, connectedWorkers, maxBytes, log, stats });
  return { broker, relay: undefined };
}
