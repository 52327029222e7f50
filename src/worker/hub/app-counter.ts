import { type AppStats, appLabel, type Stats } from '../../shared/metrics/stats.ts';
import { appKeyOf } from '../../shared/model/names.ts';
import type { Channel } from '../connection/channel.ts';

/** The key of all other apps. It is no `appLabel`. */
const OTHER_APPS = 'other';

/** Counts what the first `max` apps do that this worker sees, and everything of the others together. */
export class AppCounter {
  readonly #apps: Stats['apps'];
  readonly #max: number;
  readonly #known = new Map<string, AppStats>();

  constructor({ stats, max }: { stats: Pick<Stats, 'apps'>; max: number }) {
    this.#apps = stats.apps;
    this.#max = max;
  }

  connectionAdded(appKey: string): void {
    this.#statsOf(appKey).connections += 1;
  }

  connectionRemoved(appKey: string): void {
    this.#statsOf(appKey).connections -= 1;
  }

  published(appKey: string): void {
    this.#statsOf(appKey).publications += 1;
  }

  /** Counts one publication to all subscribers of a channel. */
  delivered({ topic, groups }: Channel<unknown>): void {
    let deliveries = 0;
    for (const { isPending, connections } of groups) if (!isPending) deliveries += connections.size;
    this.#statsOf(appKeyOf(topic)).deliveries += deliveries;
  }

  #statsOf(appKey: string): AppStats {
    const known = this.#known.get(appKey);
    if (known !== undefined) return known;
    const label = this.#known.size < this.#max && appKey !== OTHER_APPS ? appLabel(appKey) : OTHER_APPS;
    const stats = this.#apps[label] ?? { connections: 0, publications: 0, deliveries: 0 };
    this.#apps[label] = stats;
    if (label !== OTHER_APPS) this.#known.set(appKey, stats);
    return stats;
  }
}
