import { randomBytes } from 'node:crypto';
import type { Logger } from '../../../shared/log.ts';
import { Closers } from '../../../shared/process/closers.ts';
import { describeRedisError } from '../../../shared/redis/errors.ts';
import type { PresenceRegistry } from '../registry.ts';
import { LocalReplica } from './local-replica.ts';
import type { ClusterMessage } from './message.ts';
import { RedisReplicaStore } from './redis-store.ts';
import { RemoteReplicas } from './remote-replicas.ts';

const HEARTBEAT_MS = 2_000;
const CHECK_MS = 500;
/** A watch later than this was not on time itself: what it did not hear proves nothing. */
const LATE_CHECK_MS = 3 * CHECK_MS;
/** A link that is back sooner is not worth a line in the log. */
const DISCONNECTED_AFTER_MS = 2_000;
/** More than a beat: where Redis takes a write now and then it is not said each time. */
const WRITES_RESTORED_AFTER_MS = 3_000;
const REPLY_DELAY_MS = 50;
/** How long after the first hello the hosts that were there before have answered it and were read. */
const SETTLE_MS = 3_000;

/**
 * Joins this host's presence registry with those of the others on the same Redis. While Redis is away the own part stays
 * exact, and those of the others stay as they were for some seconds. While it takes no writes they stay, too, and the
 * others see of this host what was written last.
 */
export class PresenceCluster {
  readonly #id = randomBytes(15).toString('base64url');
  readonly #log: Logger;
  readonly #store: RedisReplicaStore;
  readonly #local: LocalReplica;
  readonly #remote: RemoteReplicas;
  /** Says to the others that it speaks for all; does so when they have heard it. */
  #settled = false;
  #isVoter = false;
  #settleTimer: NodeJS.Timeout | undefined;
  #replyTimer: NodeJS.Timeout | undefined;
  #heartbeatTimer: NodeJS.Timeout | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  #checkedAt = 0;
  #liveAt = 0;
  #isDisconnected = false;
  #lastWriteErrorAt = 0;
  #writesFail = false;

  constructor({
    url,
    prefix,
    registry,
    log,
  }: { url: string; prefix: string; registry: PresenceRegistry; log: Logger }) {
    this.#log = log;
    this.#store = new RedisReplicaStore({ url, prefix });
    this.#remote = new RemoteReplicas({ registry, store: this.#store });
    this.#local = new LocalReplica({
      host: this.#id,
      registry,
      store: this.#store,
      isVoter: () => this.#settled,
    });
    registry.setReplication({
      changed: (app, channel, user) => this.#local.change(app, channel, user),
      isOwnerOf: (app, channel) => this.#isOwnerOf(app, channel),
    });
  }

  /** Whether it is one of those that speak for all. */
  get isVoter(): boolean {
    return this.#isVoter;
  }

  /** Does not wait: a Redis that is not there yet is no error. */
  open(): void {
    this.#checkedAt = performance.now();
    this.#liveAt = this.#checkedAt;
    this.#heartbeatTimer = setInterval(this.#sendHeartbeat, HEARTBEAT_MS);
    this.#checkTimer = setInterval(this.#check, CHECK_MS);
    this.#store.open({
      connected: (isAnother) => this.#onConnected(isAnother),
      message: (message) => this.#handle(message),
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
    clearInterval(this.#heartbeatTimer);
    clearInterval(this.#checkTimer);
    clearTimeout(this.#settleTimer);
    clearTimeout(this.#replyTimer);
    const closers = new Closers({ log: this.#log });
    closers.add('presence store', () => this.#store.close());
    closers.add('local presence entries', () => this.#local.close());
    if (!(await closers.close())) throw new Error('not every part was closed');
  }

  #onConnected(isAnother: boolean): void {
    if (isAnother) this.#local.rewrite();
    if (this.#isDisconnected)
      this.#log.info({ event: 'cluster_connection_restored' }, 'cluster connection restored');
    this.#isDisconnected = false;
    void this.#local.announce();
    this.#settleTimer ??= setTimeout(() => {
      this.#settled = true;
      this.#remote.settle();
      void this.#local.sendHeartbeat();
    }, SETTLE_MS);
  }

  #handle(message: ClusterMessage): void {
    if (message.host === this.#id) {
      // The others hear it now, too.
      this.#isVoter = message.isVoter;
      return;
    }
    this.#remote.handle(message, performance.now());
    if (message.kind === 'hello') this.#replySoon();
  }

  /** Attack: hellos without end. One answer is for all that came meanwhile. */
  #replySoon(): void {
    this.#replyTimer ??= setTimeout(() => {
      this.#replyTimer = undefined;
      void this.#local.sendHeartbeat();
    }, REPLY_DELAY_MS);
  }

  readonly #sendHeartbeat = (): void => void this.#local.sendHeartbeat();

  readonly #check = (): void => {
    const now = performance.now();
    if (now - this.#checkedAt > LATE_CHECK_MS) this.#remote.resetTimers(now);
    this.#checkedAt = now;
    if (this.#store.isLive) {
      this.#liveAt = now;
    } else if (!this.#isDisconnected && now - this.#liveAt > DISCONNECTED_AFTER_MS) {
      this.#isDisconnected = true;
      this.#log.warn(
        { event: 'cluster_connection_lost', reason: describeRedisError(this.#store.lastError) },
        'cluster connection lost',
      );
    }
    this.#logWriteErrors(now);
    for (const host of this.#remote.evictExpired(now))
      this.#log.warn(
        { event: 'cluster_host_timed_out', host },
        'host timed out, its presence entries removed',
      );
  };

  #logWriteErrors(now: number): void {
    const { writeError } = this.#local;
    if (writeError !== undefined) {
      this.#lastWriteErrorAt = now;
      if (this.#writesFail) return;
      this.#writesFail = true;
      this.#log.warn(
        { event: 'presence_write_failed', reason: describeRedisError(writeError) },
        'cannot write presence to Redis',
      );
    } else if (this.#writesFail && now - this.#lastWriteErrorAt > WRITES_RESTORED_AFTER_MS) {
      this.#writesFail = false;
      this.#log.info({ event: 'presence_write_restored' }, 'presence writes to Redis restored');
    }
  }

  /**
   * Every host sees every transition; one of them tells the world. Rendezvous hashing: all hosts choose the same
   * one without asking, and when one dies only what was its own is another's. Where nobody has been for long,
   * those that have just come speak.
   */
  #isOwnerOf(app: string, channel: string): boolean {
    const { ids, voters } = this.#remote;
    if (ids.length === 0) return true;
    if (!this.#isVoter && voters.length > 0) return false;
    const weight = weigh(this.#id, app, channel);
    return (this.#isVoter ? voters : ids).every((id) => weigh(id, app, channel) < weight);
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
