import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/log.ts';
import { publicationMaxBytes } from '../../shared/model/publication-size.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Broker } from './broker.ts';
import { RedisBroker } from './redis/redis-broker.ts';
import { type PrimaryPipe, RelayBroker } from './relay-broker.ts';

export interface CreateBrokerOptions {
  readonly settings: Settings;
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
  const { settings, log, stats, pipe, isIdle } = options;
  const { redisUrl: url, redisPrefix: prefix } = settings;
  if (url === undefined) {
    const relay = new RelayBroker({ pipe, isIdle });
    return { broker: relay, relay };
  }
  const broker = new RedisBroker({ url, prefix, maxBytes: publicationMaxBytes(settings), log, stats });
  return { broker, relay: undefined };
}
