import { setTimeout as pause } from 'node:timers/promises';
import type { App } from '../../shared/apps/app.ts';
import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import type { AppStore } from '../../shared/apps/app-store.ts';
import type { WebhookReport } from '../../shared/ipc/messages.ts';
import type { Logger } from '../../shared/logging/log.ts';
import type { PresenceTransition } from '../../shared/model/presence.ts';
import { isPresenceChannel } from '../../shared/model/pusher-channel.ts';
import type { WebhookEvent } from '../../shared/model/webhook-event.ts';
import { Closers } from '../../shared/process/closers.ts';
import type { PresenceListener, PresenceRegistry } from '../presence/registry.ts';
import { DeliveryQueue, type EventWebhookStats } from './delivery-queue.ts';
import { GracePeriod } from './grace-period.ts';
import type { WebhookSender } from './sender.ts';

/** How long events are collected before their app is looked up, once for all of them. */
const COLLECT_MS = 20;
/** Attack: clients that cause events faster than apps can be looked up. */
const PENDING_MAX = 50_000;
/** If many clients miss the cache of one channel within this time, its webhook gets one event. */
const CACHE_MISS_MS = 5_000;
/** A count that changes often is reported at this interval. */
const COUNT_MS = 1_000;

/** A possible webhook event: a transition of the presence registry, or the report of a worker. */
type PendingEvent =
  | { readonly kind: 'transition'; readonly transition: ChannelTransition; readonly isOwner: boolean }
  | { readonly kind: 'report'; readonly event: WebhookEvent };

type ChannelTransition = Extract<PresenceTransition, { channel: string }>;
type MemberTransition = Extract<PresenceTransition, { kind: 'joined' | 'left' }>;

/** An app with a webhook for events. */
type WebhookApp = App & { readonly webhook_url: string; readonly secret: string };

/** An event, and whether the app subscribes to it. */
interface Change {
  readonly app: string;
  readonly event: WebhookEvent;
  readonly isWanted: boolean;
}

export interface WebhooksDependencies {
  readonly apps: Pick<AppRegistry, 'find'>;
  /** The store of `apps`; `close` closes it. */
  readonly store: Pick<AppStore, 'close'>;
  readonly registry: Pick<PresenceRegistry, 'channel' | 'isOwnerOf' | 'hasOtherHosts'>;
  readonly sender: Pick<WebhookSender, 'deliver' | 'close'>;
  /** How long a channel must be empty, or a member absent, before that is reported. */
  readonly graceMs: number;
  readonly log: Logger;
}

/**
 * Reports channel events to the webhooks of apps. Each event passes these steps: Does the app subscribe to it? Does this
 * host report it? Is it cancelled within the grace period? Then the delivery queue of its app holds it for the webhook
 * sender. All of that is in the primary, so that the crash of a worker loses no event.
 */
export class Webhooks implements PresenceListener {
  readonly stats: EventWebhookStats = { delivered: 0, retried: 0, discarded: 0, dropped: 0 };
  readonly #dependencies: WebhooksDependencies;
  /** Events by app, until the app is looked up. */
  readonly #pending = new Map<string, PendingEvent[]>();
  readonly #filtering = new Set<Promise<void>>();
  readonly #gracePeriod: GracePeriod<Change>;
  readonly #queues = new Map<string, DeliveryQueue>();
  /** Channels with a recent cache miss, oldest first, and the time until which another one is ignored. */
  readonly #recentMisses = new Map<string, number>();
  /** Channels whose counts are reported at the next tick, by app. */
  readonly #changedCounts = new Map<string, Set<string>>();
  #countTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(dependencies: WebhooksDependencies) {
    this.#dependencies = dependencies;
    const { registry } = dependencies;
    this.#gracePeriod = new GracePeriod({
      graceMs: dependencies.graceMs,
      onExpire: (change) => {
        if (registry.isOwnerOf(change.app, change.event.channel)) this.#send(change);
      },
    });
  }

  /** Events that wait for a delivery. */
  get queued(): number {
    let queued = 0;
    for (const { size } of this.#queues.values()) queued += size;
    return queued;
  }

  transition(transition: PresenceTransition, isOwner: boolean): void {
    if (isOfChannel(transition)) this.#enqueue(transition.app, { kind: 'transition', transition, isOwner });
  }

  countChanged(app: string, channel: string, isOwner: boolean): void {
    if (!isOwner || this.#closed || isPresenceChannel(channel)) return;
    const channels = this.#changedCounts.get(app);
    if (channels === undefined) this.#changedCounts.set(app, new Set([channel]));
    else channels.add(channel);
    this.#countTimer ??= setTimeout(this.#sendCounts, COUNT_MS);
  }

  /** Handles the reports of a worker of this host. */
  report(reports: readonly WebhookReport[]): void {
    for (const { app, event } of reports) this.#enqueue(app, { kind: 'report', event });
  }

  /**
   * Reports departures that are within the grace period, unless other hosts exist: clients may reconnect there, and
   * those hosts report. Delivers what is queued, with one attempt each, and closes everything after `timeoutMs`. Call it
   * when all clients are closed.
   */
  async close(timeoutMs: number): Promise<void> {
    const closers = new Closers({ log: this.#dependencies.log });
    closers.add('app store of webhooks', () => this.#dependencies.store.close());
    closers.add('webhook sender', () => this.#dependencies.sender.close());
    closers.add('webhook queues', () => {
      for (const queue of this.#queues.values()) queue.close();
    });
    closers.add('webhook grace periods', () => {
      this.#closed = true;
      clearTimeout(this.#countTimer);
      this.#gracePeriod.close();
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
    while (this.#filtering.size > 0) await Promise.all(this.#filtering);
    if (!this.#dependencies.registry.hasOtherHosts) this.#gracePeriod.flush();
    const queues = [...this.#queues.values()];
    for (const queue of queues) queue.flush();
    await Promise.all(queues.map((queue) => queue.finish()));
  }

  #enqueue(app: string, pendingEvent: PendingEvent): void {
    if (this.#closed) return;
    const pending = this.#pending.get(app);
    if (pending === undefined) {
      this.#pending.set(app, [pendingEvent]);
      const filtered = this.#filter(app).finally(() => this.#filtering.delete(filtered));
      this.#filtering.add(filtered);
    } else if (pending.length < PENDING_MAX) {
      pending.push(pendingEvent);
    } else {
      this.stats.dropped += 1;
    }
  }

  /** Processes the collected events of an app in order, if the app has a webhook. */
  async #filter(key: string): Promise<void> {
    await pause(COLLECT_MS);
    const app = await this.#findApp(key).catch((error: Error) => this.#logLookupFailure(key, error));
    const pending = this.#pending.get(key) ?? [];
    this.#pending.delete(key);
    if (app === 'unavailable') this.stats.dropped += pending.length;
    if (app === undefined || app === 'unavailable') return;
    for (const pendingEvent of pending) {
      if (pendingEvent.kind === 'report') this.#filterReport(app, pendingEvent.event);
      else this.#filterTransition(app, pendingEvent.transition, pendingEvent.isOwner);
    }
  }

  #logLookupFailure(app: string, error: Error): 'unavailable' {
    this.#dependencies.log.error(
      { event: 'webhook_app_unavailable', app, reason: error.message },
      'app lookup failed, webhook events dropped',
    );
    return 'unavailable';
  }

  /** Resolves with the app, if it has a webhook for events. Rejects if the store is unavailable. */
  async #findApp(key: string): Promise<WebhookApp | undefined> {
    const app = await this.#dependencies.apps.find(key);
    return isWebhookApp(app) ? app : undefined;
  }

  /**
   * The grace period gets every transition, even if another host reports it or the app does not subscribe to it: an event
   * and its opposite cancel each other. The owner of a departure is determined after the grace period, because the first
   * owner may have exited by then.
   */
  #filterTransition(app: WebhookApp, transition: ChannelTransition, isOwner: boolean): void {
    const described = describe(transition);
    if (described === undefined) return;
    const { event, user, isArrival } = described;
    const subject = `${app.key}\n${event.channel}\n${user}`;
    const change = { app: app.key, event, isWanted: wants(app, event.name) };
    if (!isArrival) this.#gracePeriod.hold(subject, change);
    else if (this.#gracePeriod.cancel(subject) && isOwner) this.#send(change);
  }

  #filterReport(app: WebhookApp, event: WebhookEvent): void {
    const isWanted =
      wants(app, event.name) && (event.name !== 'cache_miss' || this.#isFirstMiss(app.key, event));
    this.#send({ app: app.key, event, isWanted });
  }

  #isFirstMiss(app: string, { channel }: WebhookEvent): boolean {
    const now = performance.now();
    for (const [known, until] of this.#recentMisses) {
      if (until > now) break;
      this.#recentMisses.delete(known);
    }
    const subject = `${app}\n${channel}`;
    if (this.#recentMisses.has(subject)) return false;
    this.#recentMisses.set(subject, now + CACHE_MISS_MS);
    return true;
  }

  readonly #sendCounts = (): void => {
    this.#countTimer = undefined;
    const changedCounts = [...this.#changedCounts];
    this.#changedCounts.clear();
    for (const [key, channels] of changedCounts) void this.#sendCountsOf(key, channels);
  };

  async #sendCountsOf(key: string, channels: ReadonlySet<string>): Promise<void> {
    const app = await this.#findApp(key).catch((error: Error) => this.#logLookupFailure(key, error));
    if (app === 'unavailable') this.stats.dropped += channels.size;
    if (app === undefined || app === 'unavailable' || app.subscription_count !== true) return;
    const isWanted = wants(app, 'subscription_count');
    for (const channel of channels) {
      const count = this.#dependencies.registry.channel(key, channel)?.subscriptions ?? 0;
      this.#send({
        app: key,
        event: { name: 'subscription_count', channel, subscription_count: count },
        isWanted,
      });
    }
  }

  #send({ app, event, isWanted }: Change): void {
    if (isWanted && !this.#closed) this.#queueOf(app).push(event);
  }

  #queueOf(app: string): DeliveryQueue {
    const present = this.#queues.get(app);
    if (present !== undefined) return present;
    const { log } = this.#dependencies;
    const queue = new DeliveryQueue({
      app,
      log,
      stats: this.stats,
      deliver: (body) => this.#deliver(app, body),
      isBatched: () => this.#isBatched(app),
    });
    this.#queues.set(app, queue);
    return queue;
  }

  /** If the app cannot be looked up, the delivery fails as well. */
  async #isBatched(key: string): Promise<boolean> {
    const app = await this.#findApp(key).catch(() => undefined);
    return app?.webhook_batch === true;
  }

  /** Looks the app up for each attempt, so that a corrected URL or secret is used at once. */
  async #deliver(key: string, body: string): Promise<string | undefined> {
    let app: WebhookApp | undefined;
    try {
      app = await this.#findApp(key);
    } catch (error) {
      return (error as Error).message;
    }
    // The app no longer has a webhook, so the events are dropped.
    if (app === undefined) return undefined;
    return this.#dependencies.sender.deliver({ url: app.webhook_url, key, secret: app.secret, body });
  }
}

function isOfChannel(transition: PresenceTransition): transition is ChannelTransition {
  return transition.kind !== 'online' && transition.kind !== 'offline';
}

/** Returns the event of a transition, if it has one; `user` is empty for events of channels. */
function describe(
  transition: ChannelTransition,
): { event: WebhookEvent; user: string; isArrival: boolean } | undefined {
  const { channel } = transition;
  switch (transition.kind) {
    case 'occupied':
      return { event: { name: 'channel_occupied', channel }, user: '', isArrival: true };
    case 'vacated':
      return { event: { name: 'channel_vacated', channel }, user: '', isArrival: false };
    case 'joined':
    case 'left':
      return isPresenceChannel(channel) ? memberEvent(transition) : undefined;
    default:
      return transition satisfies never;
  }
}

function memberEvent({ kind, channel, user }: MemberTransition): ReturnType<typeof describe> {
  const isArrival = kind === 'joined';
  const name = isArrival ? 'member_added' : 'member_removed';
  return { event: { name, channel, user_id: user }, user, isArrival };
}

function isWebhookApp(app: App | undefined): app is WebhookApp {
  return app?.enabled === true && app.webhook_url !== undefined && app.secret !== undefined;
}

/** Whether the app subscribes to an event. An app without a list subscribes to all. */
function wants({ webhook_events: names }: WebhookApp, name: WebhookEvent['name']): boolean {
  return names === undefined || names.includes(name);
}
