import type { Logger } from '../../../shared/logging/log.ts';
import { LogThrottle } from '../../../shared/logging/log-throttle.ts';
import { describeRedisError, redisReply, replyErrorCode } from '../../../shared/redis/errors.ts';
import type { ServerIdentity } from '../../../shared/redis/server-identity.ts';

/** A publisher that sends malformed messages usually repeats them. */
const MALFORMED_INTERVAL_MS = 10_000;
const REPLY_INTERVAL_MS = 60_000;
const REASON_INTERVAL_MS = 10_000;

/** Writes the log lines of the Redis broker, bounded in time. */
export class RedisLog {
  readonly #log: Logger;
  readonly #malformed: LogThrottle;
  readonly #replies: LogThrottle;
  readonly #reasons: LogThrottle;
  /** The reason logged last; `undefined` while connected. */
  #reason: string | undefined;
  #disconnectedAt = performance.now();

  constructor(log: Logger) {
    this.#log = log;
    this.#malformed = new LogThrottle({ log, intervalMs: MALFORMED_INTERVAL_MS });
    this.#replies = new LogThrottle({ log, intervalMs: REPLY_INTERVAL_MS, keysMax: 100 });
    this.#reasons = new LogThrottle({ log, intervalMs: REASON_INTERVAL_MS, keysMax: 20 });
  }

  /** Logs the loss of the connection with its reason. */
  disconnected(error: unknown): void {
    this.#disconnectedAt = performance.now();
    this.#logReason(error, { isThrottled: false });
  }

  /** Logs a new reason why the connection stays lost. */
  stillDisconnected(error: unknown): void {
    this.#logReason(error, { isThrottled: true });
  }

  /** Logs that the connection is restored, if its loss was logged. `gaps`: subscriber connections lost so far. */
  connected(gaps: number): void {
    if (this.#reason === undefined) return;
    this.#reason = undefined;
    const outageMs = Math.round(performance.now() - this.#disconnectedAt);
    this.#log.info({ event: 'redis_connection_restored', outageMs, gaps }, 'Redis connection restored');
  }

  /** Logs an error reply to a command, once a minute for each command and kind of reply. */
  commandRejected(command: string, name: string, error: Error): void {
    const fix = describeRedisError(error);
    this.#replies.write(`${command} ${replyErrorCode(error)}`, {
      level: 'warn',
      facts: { event: 'redis_command_rejected', command, name, reply: redisReply(error), fix },
      message: 'Redis rejected a command',
    });
  }

  identityUnknown({ role, runId }: ServerIdentity): void {
    const unknown = [role === undefined && 'role', runId === undefined && 'run_id'].filter(Boolean);
    this.#replies.write('identity', {
      level: 'warn',
      facts: { event: 'redis_identity_unknown', unknown },
      message: 'the ACL of Redis forbids ROLE and INFO: a replica is noticed by rejected writes only',
    });
  }

  messageMalformed(topic: string, soFar: number): void {
    this.#malformed.write('', {
      level: 'warn',
      facts: { event: 'redis_message_malformed', topic, soFar },
      message: 'malformed message from Redis was dropped',
    });
  }

  #logReason(error: unknown, { isThrottled }: { isThrottled: boolean }): void {
    const reason = describeRedisError(error);
    if (reason === this.#reason) return;
    this.#reason = reason;
    const reply = redisReply(error);
    const facts = { event: 'redis_connection_lost', reason, ...(reply !== undefined && { reply }) };
    const message = 'Redis connection lost';
    if (isThrottled) this.#reasons.write(reason, { level: 'warn', facts, message });
    else this.#log.warn(facts, message);
  }
}
