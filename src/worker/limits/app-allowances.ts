import { type ErrorCode, GusherError } from '../../shared/errors/catalogue.ts';
import { type Amounts, add, excess, lacking, NO_AMOUNTS, type Resource } from '../../shared/ipc/amounts.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';

/** A change of the limits takes effect within this time. */
const LIMITS_FRESH_MS = 500;
const RELEASE_CHECK_MS = 1_000;
/** Names in one request to the primary. */
const NAMES_PER_REQUEST = 2_000;

const ERROR_OF: Readonly<Record<Resource, ErrorCode>> = {
  channels: 'channels_full',
  subscriptions: 'subscriptions_full',
  nameBytes: 'names_full',
};

/** What some work adds to this worker. */
export interface Demand {
  readonly amounts: Amounts;
  /** The names of the channels in `amounts`. */
  readonly channels: readonly string[];
}

/** Work that waits for an allowance. */
interface Waiter {
  /** Other work may have added the same channels in the meantime. */
  readonly demand: () => Demand;
  /** Runs the work, or fails it with the error. */
  readonly settle: (error: GusherError | undefined) => void;
}

type MutableAmounts = { -readonly [Name in Resource]: number };

/** What one app has on this worker, and what it may add. */
export class AppUsage {
  readonly app: string;
  channels = 0;
  subscriptions = 0;
  /** Of these, what the presence reports do not contain yet. Their names are few, and not counted. */
  readonly pending: MutableAmounts = { ...NO_AMOUNTS };
  /** What may be added without asking the primary. */
  readonly unused: MutableAmounts = { ...NO_AMOUNTS };
  limits: Amounts = NO_AMOUNTS;
  limitsReadAt = Number.NEGATIVE_INFINITY;
  /** Channels that the app has on other workers: adding them here needs no allowance. Set while an answer is processed. */
  known: ReadonlySet<string> | undefined = undefined;
  /** Bytes of publications to its clients since they were last reported. */
  bytesOut = 0;
  readonly waiters: Waiter[] = [];
  /** Waiters that the request in flight includes; 0 without one. */
  requested = 0;

  constructor(app: string) {
    this.app = app;
  }

  get held(): Amounts {
    return add(this.pending, excess(this.unused, NO_AMOUNTS));
  }

  get isIdle(): boolean {
    return this.channels === 0 && this.subscriptions === 0 && this.waiters.length === 0;
  }
}

export interface AppAllowanceOptions {
  /** Reads the limits of an app. Must not reject. */
  readonly readLimits: (app: string) => Promise<Amounts>;
  readonly send: (message: ToPrimary) => void;
  /** Sends the presence reports collected so far: the primary must have them before an allowance message. */
  readonly flushReports: () => void;
}

/**
 * Limits the channels, the subscriptions and the names of each app. Attack: the clients of one app, each within its limits,
 * that use up the host. This worker adds only what the primary has granted; see `AllowanceServer`.
 */
export class AppAllowances {
  readonly #options: AppAllowanceOptions;
  readonly #apps = new Map<string, AppUsage>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: AppAllowanceOptions) {
    this.#options = options;
    this.#timer = setInterval(this.#releaseIdle, RELEASE_CHECK_MS).unref();
  }

  /** Fails all work that waits. */
  close(): void {
    clearInterval(this.#timer);
    for (const { waiters } of this.#apps.values())
      settleAll(waiters.splice(0), new GusherError('presence_timeout'));
  }

  usageOf(app: string): AppUsage {
    const known = this.#apps.get(app);
    if (known !== undefined) return known;
    const usage = new AppUsage(app);
    this.#apps.set(app, usage);
    return usage;
  }

  /**
   * Runs `work`, which may add what `demand` returns: at once if the app has the allowance, otherwise in the turn in which
   * the primary grants it. Throws or rejects with `channels_full`, `subscriptions_full` or `names_full`.
   */
  run<Result>(app: string, demand: () => Demand, work: () => Result): Result | Promise<Awaited<Result>> {
    const usage = this.usageOf(app);
    const isCurrent = performance.now() - usage.limitsReadAt < LIMITS_FRESH_MS;
    const isFirst = usage.waiters.length === 0;
    if (isCurrent && isFirst && lacking(demand().amounts, usage.unused) === undefined) return work();
    return new Promise<Awaited<Result>>((resolve, reject) => {
      const settle = (error: GusherError | undefined): void => {
        try {
          if (error !== undefined) throw error;
          resolve(work() as Awaited<Result>);
        } catch (cause) {
          reject(cause);
        }
      };
      usage.waiters.push({ demand, settle });
      if (usage.requested === 0) void this.#request(usage);
    });
  }

  receive(message: Extract<ToWorker, { type: `allowance${string}` }>): void {
    const usage = this.#apps.get(message.app);
    if (message.type === 'allowanceRecall') {
      if (usage !== undefined) Object.assign(usage.unused, NO_AMOUNTS);
      this.#sendHeld(message.app, usage?.held ?? NO_AMOUNTS);
      return;
    }
    if (usage === undefined) return;
    const { granted, known, full } = message;
    spend(usage.unused, -granted.channels, -granted.subscriptions, -granted.nameBytes);
    usage.known = new Set(known);
    this.#settle(usage, usage.waiters.splice(0, usage.requested), full);
    usage.known = undefined;
    usage.requested = 0;
    if (usage.waiters.length > 0) void this.#request(usage);
  }

  addNames(app: string, nameBytes: number): void {
    spend(this.usageOf(app).unused, 0, 0, nameBytes);
  }

  /** Counts a new channel, whose subscribers are all pending. */
  addChannel(usage: AppUsage, channel: string, nameBytes: number): void {
    usage.channels += 1;
    spend(usage.unused, usage.known?.has(channel) === true ? 0 : 1, 0, nameBytes);
    usage.pending.channels += 1;
  }

  /** Counts a new subscription, which is pending. */
  addSubscription(usage: AppUsage, nameBytes: number): void {
    usage.subscriptions += 1;
    spend(usage.unused, 0, 1, nameBytes);
    usage.pending.subscriptions += 1;
  }

  /** The presence reports contain the channel from now on. */
  channelReported({ pending }: AppUsage): void {
    pending.channels -= 1;
  }

  /** The presence reports do not contain the channel any more: all of its subscribers are pending. */
  channelPending({ pending }: AppUsage): void {
    pending.channels += 1;
  }

  /** The presence reports contain the subscription from now on. */
  subscriptionReported({ pending }: AppUsage): void {
    pending.subscriptions -= 1;
  }

  /** Removes a channel that the presence reports contained. */
  removeChannel(usage: AppUsage): void {
    usage.channels -= 1;
  }

  /** Removes a subscription that the presence reports contained. */
  removeSubscription(usage: AppUsage): void {
    usage.subscriptions -= 1;
  }

  async #request(usage: AppUsage): Promise<void> {
    usage.requested = usage.waiters.length;
    if (performance.now() - usage.limitsReadAt >= LIMITS_FRESH_MS) await this.#readLimits(usage);
    settleFitting(usage);
    const asking = firstWaiters(usage.waiters);
    usage.requested = asking.length;
    if (asking.length === 0) return;
    const needed = asking.map(({ amounts }) => amounts).reduce(add);
    this.#options.flushReports();
    this.#options.send({
      type: 'allowanceRequest',
      app: usage.app,
      held: usage.held,
      wanted: excess(needed, usage.unused),
      channels: [...new Set(asking.flatMap(({ channels }) => channels))],
      limits: usage.limits,
    });
  }

  #settle(usage: AppUsage, answered: readonly Waiter[], full: Resource | undefined): void {
    const again: Waiter[] = [];
    for (const waiter of answered) {
      const lack = lacking(unknownPart(waiter.demand(), usage.known), usage.unused);
      if (lack === undefined) waiter.settle(undefined);
      else if (lack === full) waiter.settle(new GusherError(ERROR_OF[lack]));
      // A recall took what the primary had counted for it.
      else again.push(waiter);
    }
    usage.waiters.unshift(...again);
  }

  async #readLimits(usage: AppUsage): Promise<void> {
    const limits = await this.#options.readLimits(usage.app);
    const hasChanged = lacking(limits, usage.limits) ?? lacking(usage.limits, limits);
    usage.limits = limits;
    usage.limitsReadAt = performance.now();
    // The primary grants by the new limits only what it has not granted before.
    if (hasChanged !== undefined) Object.assign(usage.unused, NO_AMOUNTS);
  }

  #sendHeld(app: string, held: Amounts): void {
    this.#options.flushReports();
    this.#options.send({ type: 'allowanceHeld', app, held });
  }

  /** Forgets apps without subscribers, and returns what they do not use. */
  readonly #releaseIdle = (): void => {
    for (const [app, usage] of this.#apps) {
      if (!usage.isIdle) continue;
      this.#apps.delete(app);
      this.#sendHeld(app, NO_AMOUNTS);
    }
  };
}

function spend(amounts: MutableAmounts, channels: number, subscriptions: number, nameBytes: number): void {
  amounts.channels -= channels;
  amounts.subscriptions -= subscriptions;
  amounts.nameBytes -= nameBytes;
}

/** Runs the first waiters for which the allowance suffices. */
function settleFitting({ waiters, unused }: AppUsage): void {
  for (let [first] = waiters; first !== undefined; [first] = waiters) {
    if (lacking(first.demand().amounts, unused) !== undefined) return;
    waiters.shift();
    first.settle(undefined);
  }
}

/** The demands that fit into one request, at least one. */
function firstWaiters(waiters: readonly Waiter[]): Demand[] {
  const demands: Demand[] = [];
  let names = 0;
  for (const { demand } of waiters) {
    const next = demand();
    names += next.channels.length;
    if (names > NAMES_PER_REQUEST && demands.length > 0) break;
    demands.push(next);
  }
  return demands;
}

/** Leaves out the channels that need no allowance. */
function unknownPart({ amounts, channels }: Demand, known: ReadonlySet<string> | undefined): Amounts {
  if (known === undefined || known.size === 0) return amounts;
  return { ...amounts, channels: channels.filter((channel) => !known.has(channel)).length };
}

function settleAll(waiters: readonly Waiter[], error: GusherError): void {
  for (const { settle } of waiters) settle(error);
}
