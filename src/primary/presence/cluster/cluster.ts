import { randomBytes } from 'node:crypto';
import { fnv1a } from '../../../shared/crypto/fnv1a.ts';
import type { Logger } from '../../../shared/logging/log.ts';
import { Closers } from '../../../shared/process/closers.ts';
import type { PresenceRegistry } from '../registry.ts';
import { ClusterLog } from './cluster-log.ts';
import { LocalReplica } from './local-replica.ts';
import type { ClusterMessage } from './message.ts';
import { RedisReplicaStore } from './redis-store.ts';
import { RemoteReplicas } from './remote-replicas.ts';

const HEARTBEAT_MS = 2_000;
const CHECK_MS = 500;
/** A check that is later than this was itself delayed, and proves nothing about the other hosts. */
const LATE_CHECK_MS = 3 * CHECK_MS;
/** How far the names of other hosts may exceed the budget of this host, whose clients are rejected from the budget on. */
const REMOTE_NAMES_FACTOR = 1.5;
const REPLY_DELAY_MS = 50;
/** Time after the first hello in which the other hosts have replied and their replicas are read. */
const SETTLE_MS = 3_000;

/**
 * `joining`: does not know the other hosts yet. `announced`: publishes that it is a voter, and has not received that
 * message itself. `voter`: all hosts have received it, and this one may own channels.
 */
type Membership = 'joining' | 'announced' | 'voter';

/**
 * Replicates the presence registry between the hosts that share a Redis. Without Redis, the entries of this host stay
 * exact, and those of other hosts expire after some seconds. If Redis rejects writes, all entries stay, and the other
 * hosts see the last written state of this host.
 */
export class PresenceCluster {
  readonly #id = randomBytes(15).toString('base64url');
  readonly #log: Logger;
  readonly #problems: ClusterLog;
  readonly #store: RedisReplicaStore;
  readonly #local: LocalReplica;
  readonly #remote: RemoteReplicas;
  #membership: Membership = 'joining';
  #settleTimer: NodeJS.Timeout | undefined;
  #replyTimer: NodeJS.Timeout | undefined;
  #heartbeatTimer: NodeJS.Timeout | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  #checkedAt = 0;
  #isTruncated = false;

  constructor({
    url,
    prefix,
    registry,
    namesMaxBytes,
    onProblem = ignoreProblem,
    log,
  }: {
    url: string;
    prefix: string;
    registry: PresenceRegistry;
    /** The name budget of this host. */
    namesMaxBytes: number;
    /** Receives each new reason why presence is not exchanged, and `undefined` when it is again. */
    onProblem?: (reason: string | undefined) => void;
    log: Logger;
  }) {
    this.#log = log;
    this.#problems = new ClusterLog({ log, onProblem });
    this.#store = new RedisReplicaStore({ url, prefix });
    this.#remote = new RemoteReplicas({
      registry,
      store: this.#store,
      namesMaxBytes: namesMaxBytes * REMOTE_NAMES_FACTOR,
    });
    this.#local = new LocalReplica({
      host: this.#id,
      registry,
      store: this.#store,
      isVoter: () => this.#membership !== 'joining',
    });
    registry.setReplication({
      changed: (app, channel, user) => this.#local.change(app, channel, user),
      isOwnerOf: (app, channel) => this.#isOwnerOf(app, channel),
    });
  }

  /** Whether this host may own channels while other hosts do. */
  get isVoter(): boolean {
    return this.#membership === 'voter';
  }

  /** Connects in the background. An unavailable Redis is no error. */
  open(): void {
    this.#checkedAt = performance.now();
    this.#heartbeatTimer = setInterval(this.#sendHeartbeat, HEARTBEAT_MS);
    this.#checkTimer = setInterval(this.#check, CHECK_MS);
    this.#store.open({
      connected: (isAnother) => this.#onConnected(isAnother),
      message: (message) => this.#handle(message),
      malformed: () =>
        this.#log.debug({ event: 'cluster_message_malformed' }, 'malformed cluster message dropped'),
    });
  }

  /** Reconnects if the workers of this host are connected to another server. */
  follow(server: string): void {
    this.#store.follow(server);
  }

  /** Removes the entries of this host, and notifies the other hosts. */
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
    this.#problems.connected();
    void this.#local.announce();
    this.#settleTimer ??= setTimeout(() => {
      this.#membership = 'announced';
      this.#remote.settle();
      void this.#local.sendHeartbeat();
    }, SETTLE_MS);
  }

  #handle(message: ClusterMessage): void {
    if (message.host === this.#id) {
      // The other hosts receive it now, too.
      if (message.isVoter && this.#membership === 'announced') this.#membership = 'voter';
      return;
    }
    this.#remote.handle(message, performance.now());
    if (message.kind === 'hello') this.#replySoon();
  }

  /** Attack: very many hellos. One reply answers all that arrive within its delay. */
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
    const { isLive, lastError: connectionError } = this.#store;
    const { writeError } = this.#local;
    const { readError } = this.#remote;
    this.#problems.update({ isLive, connectionError, writeError, readError }, now);
    this.#logTruncation();
    for (const host of this.#remote.evictExpired(now))
      this.#log.warn(
        { event: 'cluster_host_timed_out', host },
        'host timed out, its presence entries removed',
      );
  };

  #logTruncation(): void {
    const { isTruncated } = this.#remote;
    if (isTruncated && !this.#isTruncated) {
      this.#log.warn(
        { event: 'cluster_names_full' },
        'presence of other hosts is incomplete: raise GUSHER_NAMES_MAX_BYTES',
      );
    }
    this.#isTruncated = isTruncated;
  }

  /**
   * Every host sees every transition, and the owner of the channel reports it. With rendezvous hashing all hosts choose
   * the same owner without messages, and only the channels of a host that exits change their owner. Without any voter,
   * hosts that are still joining own the channels.
   */
  #isOwnerOf(app: string, channel: string): boolean {
    const { ids, voters } = this.#remote;
    if (ids.length === 0) return true;
    if (!this.isVoter && voters.length > 0) return false;
    const weight = weigh(this.#id, app, channel);
    return (this.isVoter ? voters : ids).every((id) => weigh(id, app, channel) < weight);
  }
}

/** Mixes the hash once more, because the ids differ in their first characters. */
function weigh(id: string, app: string, channel: string): number {
  let hash = fnv1a(id, fnv1a(channel, fnv1a(app)));
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}

function ignoreProblem(): void {}
