/** True if Redis was reached and said no. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/**
 * Returns the code of an error reply, its first word. For a discarded transaction it is the code of the first rejected
 * command. Returns `undefined` for other errors.
 */
export function replyErrorCode(error: unknown): string | undefined {
  if (!isReplyError(error)) return undefined;
  const [, atExec] = /^EXECABORT .* because of: (\w+)/.exec(error.message) ?? [];
  const [first] = (error as { previousErrors?: readonly unknown[] }).previousErrors ?? [];
  return atExec ?? replyErrorCode(first) ?? error.message.split(' ', 1)[0];
}

/** True if Redis discarded a transaction without executing any command. */
export function isDiscarded(error: unknown): boolean {
  return isReplyError(error) && error.message.startsWith('EXECABORT');
}

/** True if the error only follows from a connection that was closed before. */
export function isStreamClosedError(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Stream isn't writeable");
}

/** The TLS handshake timed out: a port without TLS waits for the end of a command. */
export class TlsTimeoutError extends Error {
  readonly code = 'TLS_TIMEOUT';
}

/** The server of a connection must not be used for publishing; the message states why. */
export class WrongServerError extends Error {}

/** Codes whose replies repeat no input, except names of commands. */
const PLAIN_REPLIES = new Set(
  'BUSY DENIED LOADING MASTERDOWN MISCONF NOAUTH NOPERM NOREPLICAS OOM READONLY'.split(' '),
);
const REPLY_MAX_LENGTH = 200;

/**
 * Returns the error reply for the log, or `undefined` for other errors. Replies that may repeat input are cut at the first
 * quote.
 */
export function redisReply(error: unknown): string | undefined {
  const word = replyErrorCode(error);
  if (word === undefined || !isReplyError(error)) return undefined;
  const [first] = (error as { previousErrors?: readonly Error[] }).previousErrors ?? [];
  const text = (first ?? error).message.replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, REPLY_MAX_LENGTH);
  return PLAIN_REPLIES.has(word) ? text : text.replace(/['"`].*$/, '').trimEnd();
}

const NO_CLUSTER = 'this is a node of a Redis Cluster, which gusher cannot use';
const MESSAGE_OF_REPLY: ReadonlyMap<string, string> = new Map([
  ['WRONGPASS', 'Redis refuses the password'],
  ['NOAUTH', 'Redis refuses the password'],
  ['MOVED', NO_CLUSTER],
  ['CLUSTERDOWN', NO_CLUSTER],
  ['DENIED', 'Redis is in protected mode and refuses clients of other hosts'],
  ['READONLY', 'Redis is a replica, which takes no writes'],
]);

/**
 * Describes a Redis error without secrets. Of unknown error replies only the code is shown, because the rest may repeat
 * input.
 */
export function describeRedisError(error: unknown): string {
  // A connection that Redis ends in good order has no error.
  if (!(error instanceof Error)) return 'Redis ended the connection';
  if (error instanceof WrongServerError) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  if (isReplyError(error)) {
    if (message === 'ERR DB index is out of range') return 'Redis has no such database';
    if (message.startsWith('ERR max number of clients'))
      return 'Redis has as many clients as it may have (maxclients)';
    const word = replyErrorCode(error) ?? '';
    return MESSAGE_OF_REPLY.get(word) ?? `Redis answers ${word}`;
  }
  if (message.startsWith('All sentinels are unreachable')) {
    return /WRONGPASS|NOAUTH/.test(message)
      ? 'the Sentinels refuse the password'
      : 'no Sentinel names the master';
  }
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return 'nothing listens at the Redis address';
  if (/^(Connection is closed|Reached the max retries)/.test(message)) return 'Redis ended the connection';
  if (code === 'TLS_TIMEOUT')
    return 'Redis does not answer over TLS; use redis:// if its port is without TLS';
  if (code === 'EPROTO' || code?.startsWith('ERR_SSL_')) {
    return 'TLS with Redis fails; use redis:// if its port is without TLS';
  }
  if (/^(Unknown RESP type|Protocol error)/.test(message))
    return 'what answers at the Redis address is not Redis';
  if (code === 'ETIMEDOUT' || /timed out$/.test(message)) return 'Redis does not answer';
  return `Redis is not reachable (${code ?? message})`;
}
