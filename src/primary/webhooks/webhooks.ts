import { setTimeout as pause } from 'node:timers/promises';
import type { App } from '../../shared/apps/app.ts';
import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import type { AppStore } from '../../shared/apps/app-store.ts';
import type { WebhookReport } from '../../shared/ipc/messages.ts';
import type { Logger } from '../../shared/log.ts';
import type { PresenceTransition } from '../../shared/model/presence.ts';
import { isPresenceChannel } from '../../shared/model/pusher-channel.ts';
import type { WebhookEvent } from '../../shared/model/webhook-event.ts';
import { Closers } from '../../shared/process/closers.ts';
import type { PresenceListener, PresenceRegistry } from '../presence/registry.ts';
import { Lane } from './delivery-queue.ts';
import { Grace } from './grace-period.ts';
import type { Courier } from './sender.ts';

/** How long news is gathered before the app that it is of is looked up, once for all of it. */
const GATHER_MS = 20;
/** Attack: clients that speak faster than the apps can be looked up. */
const GATHERED_MAX = 50_000;
/** A hundred clients that find the same channel empty are one reason to fill it. */
const CACHE_MISS_MS = 5_000;
/** A count that changes all the time is told at this pace. */
const COUNT_MS = 1_000;

/** What an app may have to be told of: a transition of the roster, or what a worker saw. */
type News =
  | { readonly kind: 'transition'; readonly transition: ChannelTransition; readonly isOwner: boolean }
  | { readonly kind: 'report'; readonly event: WebhookEvent };

type ChannelTransition = Extract<PresenceTransition, { channel: string }>;

/** An app that can be told. */
type Listening = App & { readonly webhook_url: string; readonly secret: string };

/** What began or ended, and whether the app wants to know. */
interface Change {
  readonly app: string;
  readonly event: WebhookEvent;
  readonly isWanted: boolean;
}

export interface WebhooksDependencies {
  readonly apps: Pick<AppRegistry, 'find'>;
  /** Behind `apps`; it is closed at the end. */
  readonly store: Pick<AppStore, 'close'>;
  readonly registry: Pick<PresenceRegistry, 'channel' | 'isOwnerOf' | 'hasOtherHosts'>;
  readonly courier: Pick<Courier, 'deliver' | 'close'>;
  /** How long a channel may be empty, or a member away, before that is told. */
  readonly graceMs: number;
  readonly log: Logger;
}

/**
 * Tells apps, by their webhooks, what happens in their channels. What it hears goes through the steps: does the
 * app want to know; is it this host that tells; is it taken back within the grace; then it waits in the lane of
 * its app for the courier. Lives in the primary, so that no worker's death loses anything.
 */
export class Webhooks implements PresenceListener {
  readonly #dependencies: WebhooksDependencies;
  /** News of apps that are about to be looked up. */
  readonly #gathered = new Map<string, News[]>();
  readonly #sifting = new Set<Promise<void>>();
  readonly #grace: Grace<Change>;
  readonly #lanes = new Map<string, Lane>();
  /** Channels of which a cache miss was told a moment ago, oldest first, and until when that is so. */
  readonly #missed = new Map<string, number>();
  /** Channels whose counts are to be told at the next tick, by app. */
  readonly #recounted = new Map<string, Set<string>>();
  #countTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(dependencies: WebhooksDependencies) {
    this.#dependencies = dependencies;
    const { registry } = dependencies;
    this.#grace = new Grace({
      graceMs: dependencies.graceMs,
      tell: (change) => {
        if (registry.isOwnerOf(change.app, change.event.channel)) this.#tell(change);
      },
    });
  }

  transition(transition: PresenceTransition, isOwner: boolean): void {
    if (!('channel' in transition)) return;
    this.#hear(transition.app, { kind: 'transition', transition, isOwner });
  }

  countChanged(app: string, channel: string, isOwner: boolean): void {
    if (!isOwner || this.#closed || isPresenceChannel(channel)) return;
    const channels = this.#recounted.get(app);
    if (channels === undefined) this.#recounted.set(app, new Set([channel]));
    else channels.add(channel);
    this.#countTimer ??= setTimeout(this.#tellCounts, COUNT_MS);
  }

  /** Hears what a worker of this host saw. */
  report(reports: readonly WebhookReport[]): void {
    for (const { app, event } of reports) this.#hear(app, { kind: 'report', event });
  }

  /**
   * All clients have left. Who is still within the grace is told to be gone, unless there are other hosts, where
   * clients return and which tell it. Resolves when what is on its way is delivered, or was tried once more, or at
   * the deadline; then everything is let go of.
   */
  async close(timeoutMs: number): Promise<void> {
    const closers = new Closers({ log: this.#dependencies.log });
    closers.add('app store of webhooks', () => this.#dependencies.store.close());
    closers.add('webhook sender', () => this.#dependencies.courier.close());
    closers.add('webhook queues', () => {
      for (const lane of this.#lanes.values()) lane.close();
    });
    closers.add('webhook grace periods', () => {
      this.#closed = true;
      clearTimeout(this.#countTimer);
      this.#grace.close();
    });
    closers.add('webhook deliveries', () => this.#finishWithin(timeoutMs));
    if (!(await closers.close())) throw new Error('not every part was closed');
  }

  async #finishWithin(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    try {
      await Promise.race([this.#finish(), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #finish(): Promise<void> {
    while (this.#sifting.size > 0) await Promise.all(this.#sifting);
    if (!this.#dependencies.registry.hasOtherHosts) this.#grace.end();
    const lanes = [...this.#lanes.values()];
    for (const lane of lanes) lane.hurry();
    await Promise.all(lanes.map((lane) => lane.finish()));
  }

  #hear(app: string, news: News): void {
    if (this.#closed) return;
    const gathered = this.#gathered.get(app);
    if (gathered === undefined) {
      this.#gathered.set(app, [news]);
      const sift = this.#sift(app).finally(() => this.#sifting.delete(sift));
      this.#sifting.add(sift);
    } else if (gathered.length < GATHERED_MAX) {
      gathered.push(news);
    }
  }

  /** Passes on what was gathered of an app, in its order, if the app listens. */
  async #sift(key: string): Promise<void> {
    await pause(GATHER_MS);
    const app = await this.#listening(key).catch((error: Error) => this.#lose(key, error));
    const gathered = this.#gathered.get(key) ?? [];
    this.#gathered.delete(key);
    if (app === undefined) return;
    for (const news of gathered) {
      if (news.kind === 'report') this.#takeReport(app, news.event);
      else this.#takeTransition(app, news.transition, news.isOwner);
    }
  }

  #lose(app: string, error: Error): undefined {
    this.#dependencies.log.error(
      { event: 'webhook_app_unavailable', app, reason: error.message },
      'app lookup failed, webhook events dropped',
    );
  }

  /** The app, if it has a webhook for events. Rejects if that is not known. */
  async #listening(key: string): Promise<Listening | undefined> {
    const app = await this.#dependencies.apps.find(key);
    return isListening(app) ? app : undefined;
  }

  /**
   * The grace hears of everything, whoever tells it and whatever the app wants to know: one half of a pair cancels
   * the other. Which host tells of an end is asked when it is told: the one that would have may be gone by then.
   */
  #takeTransition(app: Listening, transition: ChannelTransition, isOwner: boolean): void {
    const told = eventOf(transition);
    if (told === undefined) return;
    const { event, begins } = told;
    const subject = `${app.key}\n${event.channel}\n${'user_id' in event ? event.user_id : ''}`;
    const change = { app: app.key, event, isWanted: wants(app, event.name) };
    if (!begins) this.#grace.ended(subject, change);
    else if (this.#grace.began(subject) && isOwner) this.#tell(change);
  }

  #takeReport(app: Listening, event: WebhookEvent): void {
    const isWanted =
      wants(app, event.name) && (event.name !== 'cache_miss' || this.#isFirstMiss(app.key, event));
    this.#tell({ app: app.key, event, isWanted });
  }

  #isFirstMiss(app: string, { channel }: WebhookEvent): boolean {
    const now = performance.now();
    for (const [known, until] of this.#missed) {
      if (until > now) break;
      this.#missed.delete(known);
    }
    const subject = `${app}\n${channel}`;
    if (this.#missed.has(subject)) return false;
    this.#missed.set(subject, now + CACHE_MISS_MS);
    return true;
  }

  readonly #tellCounts = (): void => {
    this.#countTimer = undefined;
    const recounted = [...this.#recounted];
    this.#recounted.clear();
    for (const [key, channels] of recounted) void this.#tellCountsOf(key, channels);
  };

  async #tellCountsOf(key: string, channels: ReadonlySet<string>): Promise<void> {
    const app = await this.#listening(key).catch((error: Error) => this.#lose(key, error));
    if (app?.subscription_count !== true) return;
    const isWanted = wants(app, 'subscription_count');
    for (const channel of channels) {
      const count = this.#dependencies.registry.channel(key, channel)?.subscriptions ?? 0;
      this.#tell({
        app: key,
        event: { name: 'subscription_count', channel, subscription_count: count },
        isWanted,
      });
    }
  }

  #tell({ app, event, isWanted }: Change): void {
    if (isWanted && !this.#closed) this.#lane(app).push(event);
  }

  #lane(app: string): Lane {
    const present = this.#lanes.get(app);
    if (present !== undefined) return present;
    const { log } = this.#dependencies;
    const lane = new Lane({
      app,
      log,
      deliver: (body) => this.#deliver(app, body),
      isBatched: () => this.#isBatched(app),
    });
    this.#lanes.set(app, lane);
    return lane;
  }

  /** If the app cannot be looked up, the attempt to deliver fails too. */
  async #isBatched(key: string): Promise<boolean> {
    const app = await this.#listening(key).catch(() => undefined);
    return app?.webhook_batch === true;
  }

  /** Looks the app up anew at each attempt, so that a corrected address or secret is used at once. */
  async #deliver(key: string, body: string): Promise<string | undefined> {
    let app: Listening | undefined;
    try {
      app = await this.#listening(key);
    } catch (error) {
      return (error as Error).message;
    }
    // An app that no longer listens has nothing left to wait for.
    if (app === undefined) return undefined;
    return this.#dependencies.courier.deliver({ url: app.webhook_url, key, secret: app.secret, body });
  }
}

/** How a transition is told, if at all, and whether it is a beginning. */
function eventOf(transition: ChannelTransition): { event: WebhookEvent; begins: boolean } | undefined {
  const { channel } = transition;
  switch (transition.kind) {
    case 'occupied':
      return { event: { name: 'channel_occupied', channel }, begins: true };
    case 'vacated':
      return { event: { name: 'channel_vacated', channel }, begins: false };
    case 'joined':
      if (!isPresenceChannel(channel)) return undefined;
      return { event: { name: 'member_added', channel, user_id: transition.user }, begins: true };
    case 'left':
      if (!isPresenceChannel(channel)) return undefined;
      return { event: { name: 'member_removed', channel, user_id: transition.user }, begins: false };
    default:
      return transition satisfies never;
  }
}

function isListening(app: App | undefined): app is Listening {
  return app?.enabled === true && app.webhook_url !== undefined && app.secret !== undefined;
}

/** Whether the app wants to be told of it; without a list, of everything. */
function wants({ webhook_events: names }: Listening, name: WebhookEvent['name']): boolean {
  return names === undefined || names.includes(name);
}
