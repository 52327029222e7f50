import { GusherError } from '../../shared/errors/catalogue.ts';
import type { AppCounts } from '../../shared/model/presence.ts';

const REFRESH_MS = 200;

export interface AppLimits {
  readonly channels: number;
  readonly subscriptions: number;
}

/** What one app has at this worker, and what it may still add. */
interface Usage {
  channels: number;
  subscriptions: number;
  /** What may be added before the next count of the primary. */
  newChannels: number;
  newSubscriptions: number;
  /** Changed or rejected since the last count. */
  isStale: boolean;
}

export interface AppAllowanceOptions {
  /** The limits of an app as they were last read. */
  readonly limitsOf: (app: string) => AppLimits;
  /** The counts of an app over all workers and hosts, after its limits were read; with all changes that this worker reported before. */
  readonly count: (app: string) => Promise<Pick<AppCounts, 'channels' | 'subscriptions'>>;
  readonly workers: number;
}

/**
 * Limits the channels and subscriptions of each app. Attack: the clients of one app, each within its limits, that take
 * the name budget of the whole host.
 *
 * Each worker may add its share of what the app has left, and asks for the counts again every 200 ms. A share is rounded
 * up, so that the last channel is not lost: an app can exceed its limit by one for each other worker.
 */
export class AppAllowances {
  readonly #options: AppAllowanceOptions;
  readonly #apps = new Map<string, Usage>();
  readonly #timer: NodeJS.Timeout;
  #isRefreshing = false;

  constructor(options: AppAllowanceOptions) {
    this.#options = options;
    this.#timer = setInterval(this.#tick, REFRESH_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** The error if the app may not add this many channels that are new on this worker, and subscriptions. */
  error(
    app: string,
    newChannels: number,
    subscriptions: number,
  ): 'channels_full' | 'subscriptions_full' | undefined {
    const usage = this.#usageOf(app);
    const isFull = newChannels > usage.newChannels;
    if (!isFull && subscriptions <= usage.newSubscriptions) return undefined;
    usage.isStale = true;
    return isFull ? 'channels_full' : 'subscriptions_full';
  }

  addChannel(app: string): void {
    const usage = this.#usageOf(app);
    usage.channels += 1;
    usage.newChannels -= 1;
    usage.isStale = true;
  }

  removeChannel(app: string): void {
    this.#usageOf(app).channels -= 1;
  }

  addSubscription(app: string): void {
    const usage = this.#usageOf(app);
    usage.subscriptions += 1;
    usage.newSubscriptions -= 1;
    usage.isStale = true;
  }

  removeSubscription(app: string): void {
    this.#usageOf(app).subscriptions -= 1;
  }

  #usageOf(app: string): Usage {
    const known = this.#apps.get(app);
    if (known !== undefined) return known;
    const usage = { channels: 0, subscriptions: 0, newChannels: 0, newSubscriptions: 0, isStale: true };
    this.#apps.set(app, usage);
    this.#renew(app, usage, usage);
    return usage;
  }

  /** Hazard: a subscription that waits for the broker is not in the counts of the primary, but it is in those here. */
  #renew(app: string, usage: Usage, counted: Pick<AppCounts, 'channels' | 'subscriptions'>): void {
    const { channels, subscriptions } = this.#options.limitsOf(app);
    usage.newChannels = this.#share(channels - Math.max(counted.channels, usage.channels));
    usage.newSubscriptions = this.#share(
      subscriptions - Math.max(counted.subscriptions, usage.subscriptions),
    );
  }

  #share(left: number): number {
    return Math.max(0, Math.ceil(left / this.#options.workers));
  }

  readonly #tick = (): void => {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    void this.#refresh().finally(() => {
      this.#isRefreshing = false;
    });
  };

  async #refresh(): Promise<void> {
    const refreshing: Promise<void>[] = [];
    for (const [app, usage] of this.#apps) {
      const { channels, subscriptions } = this.#options.limitsOf(app);
      const isLow =
        usage.newChannels <= this.#share(channels) / 2 ||
        usage.newSubscriptions <= this.#share(subscriptions) / 2;
      if (!usage.isStale && !isLow) {
        if (usage.subscriptions === 0 && usage.channels === 0) this.#apps.delete(app);
        continue;
      }
      refreshing.push(this.#refreshApp(app, usage));
    }
    await Promise.all(refreshing);
  }

  async #refreshApp(app: string, usage: Usage): Promise<void> {
    const { channels, subscriptions } = usage;
    usage.isStale = false;
    try {
      const counted = await this.#options.count(app);
      // What was added while the primary counted is not in its counts.
      this.#renew(app, usage, {
        channels: counted.channels + Math.max(0, usage.channels - channels),
        subscriptions: counted.subscriptions + Math.max(0, usage.subscriptions - subscriptions),
      });
    } catch (error) {
      // Presence is unavailable; the allowance stays until the next check.
      if (!(error instanceof GusherError)) throw error;
      usage.isStale = true;
    }
  }
}
