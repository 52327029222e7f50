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
import { DeliveryQueue } from './delivery-queue.ts';
import { GracePeriod } from './grace-period.ts';
import type { WebhookSender } from './sender.ts';

/** How long news is gathered before the app that it is of is looked up, once for all of it. */
const COLLECT_MS = 20;
/** Attack: clients that speak faster than the apps can be looked up. */
const PENDING_MAX = 50_000;
/** A hundred clients that find the same channel empty are one reason to fill it. */
const CACHE_MISS_MS = 5_000;
/** A count that changes all the time is told at this pace. */
const COUNT_MS = 1_000;

/** What an app may have to be told of: a transition of the presence registry, or what a worker saw. */
type PendingEvent =
  | { readonly kind: 'transition'; readonly transition: ChannelTransition; readonly isOwner: boolean }
  | { readonly kind: 'report'; readonly event: WebhookEvent };

type ChannelTransition = Extract<PresenceTransition, { channel: string }>;

/** An app that can be told. */
type WebhookApp = App & { readonly webhook_url: string; readonly secret: string };

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
  readonly sender: Pick<WebhookSender, 'deliver' | 'close'>;
  /** How long a channel may be empty, or a member away, before that is told. */
  readonly graceMs: number;
  readonly log: Logger;
}

/**
 * Tells apps, by their webhooks, what happens in their channels. What it hears goes through the steps: does the
 * app want to know; is it this host that tells; is it taken back within the grace; then it waits in the delivery queue of
 * its app for the webhook sender. Lives in the primary, so that no worker's death loses anything.
 */
export class Webhooks implements PresenceListener {
  readonly #dependencies: WebhooksDependencies;
  /** News of apps that are about to be looked up. */
  readonly #pending = new Map<string, PendingEvent[]>();
  readonly #filtering = new Set<Promise<void>>();
  readonly #grace: GracePeriod<Change>;
  readonly #queues = new Map<string, DeliveryQueue>();
  /** Channels of which a cache miss was told a moment ago, oldest first, and until when that is so. */
  readonly #missed = new Map<string, number>();
  /** Channels whose counts are to be told at the next tick, by app. */
  readonly #recounted = new Map<string, Set<string>>();
  #countTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(dependencies: WebhooksDependencies) {
    this.#dependencies = dependencies;
    const { registry } = dependencies;
    this.#grace = new GracePeriod({
      graceMs: dependencies.graceMs,
      onExpire: (change) => {
        if (registry.isOwnerOf(change.app, change.event.channel)) this.#send(change);
      },
    });
  }

  transition(transition: PresenceTransition, isOwner: boolean): void {
    if (!('channel' in transition)) return;
    this.#enqueue(transition.app, { kind: 'transition', transition, isOwner });
  }

  countChanged(app: string, channel: string, isOwner: boolean): void {
    if (!isOwner || this.#closed || isPresenceChannel(channel)) return;
    const channels = this.#recounted.get(app);
    if (channels === undefined) this.#recounted.set(app, new Set([channel]));
    else channels.add(channel);
    this.#countTimer ??= setTimeout(this.#sendCounts, COUNT_MS);
  }

  /** Hears what a worker of this host saw. */
  report(reports: readonly WebhookReport[]): void {
    for (const { app, event } of reports) this.#enqueue(app, { kind: 'report', event });
  }

  /**
   * All clients have left. Who is still within the grace is told to be gone, unless there are other hosts, where
   * clients return and which tell it. Resolves when what is on its way is delivered, or was tried once more, or at
   * the deadline; then everything is let go of.
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
    while (this.#filtering.size > 0) await Promise.all(this.#filtering);
    if (!this.#dependencies.registry.hasOtherHosts) this.#grace.flush();
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
    }
  }

  /** Passes on what was gathered of an app, in its order, if the app listens. */
  async #filter(key: string): Promise<void> {
    await pause(COLLECT_MS);
    const app = await this.#findApp(key).catch((error: Error) => this.#logLookupFailure(key, error));
    const pending = this.#pending.get(key) ?? [];
    this.#pending.delete(key);
    if (app === undefined) return;
    for (const pendingEvent of pending) {
      if (pendingEvent.kind === 'report') this.#filterReport(app, pendingEvent.event);
      else this.#filterTransition(app, pendingEvent.transition, pendingEvent.isOwner);
    }
  }

  #logLookupFailure(app: string, error: Error): undefined {
    this.#dependencies.log.error(
      { event: 'webhook_app_unavailable', app, reason: error.message },
      'app lookup failed, webhook events dropped',
    );
  }

  /** The app, if it has a webhook for events. Rejects if that is not known. */
  async #findApp(key: string): Promise<WebhookApp | undefined> {
    const app = await this.#dependencies.apps.find(key);
    return isWebhookApp(app) ? app : undefined;
  }

  /**
   * The grace hears of everything, whoever tells it and whatever the app wants to know: one half of a pair cancels
   * the other. Which host tells of an end is asked when it is told: the one that would have may be gone by then.
   */
  #filterTransition(app: WebhookApp, transition: ChannelTransition, isOwner: boolean): void {
    const described = eventOf(transition);
    if (described === undefined) return;
    const { event, begins } = described;
    const subject = `${app.key}\n${event.channel}\n${'user_id' in event ? event.user_id : ''}`;
    const change = { app: app.key, event, isWanted: wants(app, event.name) };
    if (!begins) this.#grace.hold(subject, change);
    else if (this.#grace.cancel(subject) && isOwner) this.#send(change);
  }

  #filterReport(app: WebhookApp, event: WebhookEvent): void {
    const isWanted =
      wants(app, event.name) && (event.name !== 'cache_miss' || this.#isFirstMiss(app.key, event));
    this.#send({ app: app.key, event, isWanted });
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

  readonly #sendCounts = (): void => {
    this.#countTimer = undefined;
    const recounted = [...this.#recounted];
    this.#recounted.clear();
    for (const [key, channels] of recounted) void this.#sendCountsOf(key, channels);
  };

  async #sendCountsOf(key: string, channels: ReadonlySet<string>): Promise<void> {
    const app = await this.#findApp(key).catch((error: Error) => this.#logLookupFailure(key, error));
    if (app?.subscription_count !== true) return;
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
      deliver: (body) => this.#deliver(app, body),
      isBatched: () => this.#isBatched(app),
    });
    this.#queues.set(app, queue);
    return queue;
  }

  /** If the app cannot be looked up, the attempt to deliver fails too. */
  async #isBatched(key: string): Promise<boolean> {
    const app = await this.#findApp(key).catch(() => undefined);
    return app?.webhook_batch === true;
  }

  /** Looks the app up anew at each attempt, so that a corrected address or secret is used at once. */
  async #deliver(key: string, body: string): Promise<string | undefined> {
    let app: WebhookApp | undefined;
    try {
      app = await this.#findApp(key);
    } catch (error) {
      return (error as Error).message;
    }
    // An app that no longer listens has nothing left to wait for.
    if (app === undefined) return undefined;
    return this.#dependencies.sender.deliver({ url: app.webhook_url, key, secret: app.secret, body });
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

function isWebhookApp(app: App | undefined): app is WebhookApp {
  return app?.enabled === true && app.webhook_url !== undefined && app.secret !== undefined;
}

/** Whether the app wants to be told of it; without a list, of everything. */
function wants({ webhook_events: names }: WebhookApp, name: WebhookEvent['name']): boolean {
  return names === undefined || names.includes(name);
}
