import { randomBytes } from 'node:crypto';
import type { Logger } from '../../../shared/log.ts';
import { Closers } from '../../../shared/process/closers.ts';
import { describeRedisError } from '../../../shared/redis/errors.ts';
import type { PresenceRegistry } from '../registry.ts';
import { OwnPart } from './local-replica.ts';
import type { HostMessage } from './message.ts';
import { HostStore } from './redis-store.ts';
import { OtherHosts } from './remote-replicas.ts';

const HEARTBEAT_MS = 2_000;
const CHECK_MS = 500;
/** A watch later than this was not on time itself: what it did not hear proves nothing. */
const LATE_CHECK_MS = 3 * CHECK_MS;
/** A link that is back sooner is not worth a line in the log. */
const LOST_AFTER_MS = 2_000;
/** More than a beat: where Redis takes a write now and then it is not said each time. */
const WRITTEN_AFTER_MS = 3_000;
const ANSWER_MS = 50;
/** How long after the first hello the hosts that were there before have answered it and were read. */
const SETTLE_MS = 3_000;

/**
 * Joins this host's roster with those of the others on the same Redis. While Redis is away the own part stays
 * exact, and those of the others stay as they were for some seconds. While it takes no writes they stay, too, and the
 * others see of this host what was written last.
 */
export class Hosts {
  readonly #id = randomBytes(15).toString('base64url');
  readonly #log: Logger;
  readonly #store: HostStore;
  readonly #own: OwnPart;
  readonly #others: OtherHosts;
  /** Says to the others that it speaks for all; does so when they have heard it. */
  #settled = false;
  #speaks = false;
  #settling: NodeJS.Timeout | undefined;
  #answering: NodeJS.Timeout | undefined;
  #beat: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #watchedAt = 0;
  #liveAt = 0;
  #lost = false;
  #lastWriteErrorAt = 0;
  #writesFail = false;

  constructor({
    url,
    prefix,
    registry,
    log,
  }: { url: string; prefix: string; registry: PresenceRegistry; log: Logger }) {
    this.#log = log;
    this.#store = new HostStore({ url, prefix });
    this.#others = new OtherHosts({ registry, store: this.#store });
    this.#own = new OwnPart({ host: this.#id, registry, store: this.#store, speaks: () => this.#settled });
    registry.setReplication({
      changed: (app, channel, user) => this.#own.change(app, channel, user),
      isOwnerOf: (app, channel) => this.#speaksFor(app, channel),
    });
  }

  /** Whether it is one of those that speak for all. */
  get speaks(): boolean {
    return this.#speaks;
  }

  /** Does not wait: a Redis that is not there yet is no error. */
  open(): void {
    this.#watchedAt = performance.now();
    this.#liveAt = this.#watchedAt;
    this.#beat = setInterval(this.#onBeat, HEARTBEAT_MS);
    this.#watch = setInterval(this.#onWatch, CHECK_MS);
    this.#store.open({
      live: (isAnother) => this.#greet(isAnother),
      heard: (message) => this.#hear(message),
      malformed: () =>
        this.#log.debug({ event: 'cluster_message_malformed' }, 'malformed cluster message dropped'),
    });
  }

  /** The workers of this host are connected to that server: connections to another one are made again. */
  follow(server: string): void {
    this.#store.follow(server);
  }

  /** Tells the other hosts that all who were here have left. */
  async close(): Promise<void> {
    clearInterval(this.#beat);
    clearInterval(this.#watch);
    clearTimeout(this.#settling);
    clearTimeout(this.#answering);
    const closers = new Closers({ log: this.#log });
    closers.add('presence store', () => this.#store.close());
    closers.add('local presence entries', () => this.#own.close());
    if (!(await closers.close())) throw new Error('not every part was closed');
  }

  #greet(isAnother: boolean): void {
    if (isAnother) this.#own.renew();
    if (this.#lost) this.#log.info({ event: 'cluster_connection_restored' }, 'cluster connection restored');
    this.#lost = false;
    void this.#own.greet();
    this.#settling ??= setTimeout(() => {
      this.#settled = true;
      this.#others.settle();
      void this.#own.beat();
    }, SETTLE_MS);
  }

  #hear(message: HostMessage): void {
    if (message.host === this.#id) {
      // The others hear it now, too.
      this.#speaks = message.speaks;
      return;
    }
    this.#others.hear(message, performance.now());
    if (message.kind === 'hello') this.#answer();
  }

  /** Attack: hellos without end. One answer is for all that came meanwhile. */
  #answer(): void {
    this.#answering ??= setTimeout(() => {
      this.#answering = undefined;
      void this.#own.beat();
    }, ANSWER_MS);
  }

  readonly #onBeat = (): void => void this.#own.beat();

  readonly #onWatch = (): void => {
    const now = performance.now();
    if (now - this.#watchedAt > LATE_CHECK_MS) this.#others.excuse(now);
    this.#watchedAt = now;
    if (this.#store.isLive) {
      this.#liveAt = now;
    } else if (!this.#lost && now - this.#liveAt > LOST_AFTER_MS) {
      this.#lost = true;
      this.#log.warn(
        { event: 'cluster_connection_lost', reason: describeRedisError(this.#store.lastError) },
        'cluster connection lost',
      );
    }
    this.#logWriteErrors(now);
    for (const host of this.#others.bury(now))
      this.#log.warn(
        { event: 'cluster_host_timed_out', host },
        'host timed out, its presence entries removed',
      );
  };

  #logWriteErrors(now: number): void {
    const { writeError } = this.#own;
    if (writeError !== undefined) {
      this.#lastWriteErrorAt = now;
      if (this.#writesFail) return;
      this.#writesFail = true;
      this.#log.warn(
        { event: 'presence_write_failed', reason: describeRedisError(writeError) },
        'cannot write presence to Redis',
      );
    } else if (this.#writesFail && now - this.#lastWriteErrorAt > WRITTEN_AFTER_MS) {
      this.#writesFail = false;
      this.#log.info({ event: 'presence_write_restored' }, 'presence writes to Redis restored');
    }
  }

  /**
   * Every host sees every transition; one of them tells the world. Rendezvous hashing: all hosts choose the same
   * one without asking, and when one dies only what was its own is another's. Where nobody has been for long,
   * those that have just come speak.
   */
  #speaksFor(app: string, channel: string): boolean {
    const { ids, speakers } = this.#others;
    if (ids.length === 0) return true;
    if (!this.#speaks && speakers.length > 0) return false;
    const weight = weigh(this.#id, app, channel);
    return (this.#speaks ? speakers : ids).every((id) => weigh(id, app, channel) < weight);
  }
}

/** FNV-1a with a last mix, since the ids differ by their first characters. */
function weigh(id: string, app: string, channel: string): number {
  let hash = 0x811c9dc5;
  for (const text of [app, channel, id]) {
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}
