import { hasMessage } from './ioredis-messages.ts';

/** Returns true if the error is an error reply of Redis. */
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
  return atExec ?? replyErrorCode(firstOf(error)) ?? error.message.split(' ', 1)[0];
}

/** Returns true if Redis discarded a transaction without executing any command. */
export function isDiscarded(error: unknown): boolean {
  return isReplyError(error) && error.message.startsWith('EXECABORT');
}

/** Returns true if the command was rejected because its connection had closed before. */
export function isStreamClosedError(error: unknown): boolean {
  return hasMessage(error, 'streamNotWritable');
}

/** Returns true if the peer closed the connection while this side still wrote. */
export function isReset(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EPIPE' || code === 'ECONNRESET';
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
  const code = replyErrorCode(error);
  if (code === undefined || !isReplyError(error)) return undefined;
  const text = (firstOf(error) ?? error).message.replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, REPLY_MAX_LENGTH);
  return PLAIN_REPLIES.has(code) ? text : text.replace(/['"`].*$/, '').trimEnd();
}

/** The first argument of these is a user or a password, or a cursor. */
const COMMANDS_WITHOUT_NAME = new Set(['auth', 'hello', 'scan']);

/**
 * Returns the command that Redis rejected, the key or channel that it named first, and the reply, for the log. Of a
 * discarded transaction it is the first rejected command. Returns nothing for other errors.
 */
export function refusedCommand(error: unknown): { command?: string; name?: string; reply?: string } {
  const reply = redisReply(error);
  if (reply === undefined || !isReplyError(error)) return {};
  const { command } = (firstOf(error) ?? error) as { command?: { name?: unknown; args?: unknown } };
  if (typeof command?.name !== 'string') return { reply };
  const [name] = Array.isArray(command.args) ? (command.args as unknown[]) : [];
  const isNamed = typeof name === 'string' && !COMMANDS_WITHOUT_NAME.has(command.name);
  return { command: command.name, ...(isNamed && { name: name.slice(0, REPLY_MAX_LENGTH) }), reply };
}

/** Problem and fix as `describeRedisError`; of an error reply also the command, its key or channel, and the reply. */
export function explainRedisError(error: unknown): string {
  const { command, name, reply } = refusedCommand(error);
  if (reply === undefined) return describeRedisError(error);
  const named = [command, name].filter((part) => part !== undefined).join(' ');
  return `${describeRedisError(error)} (${named === '' ? '' : `${named}: `}${reply})`;
}

/** Returns the first error of a discarded transaction. */
function firstOf(error: Error): Error | undefined {
  const { previousErrors } = error as { previousErrors?: readonly Error[] };
  return previousErrors?.[0];
}

const CLUSTER_NODE =
  'the server is a node of a Redis Cluster, which gusher does not support; use one Redis, or Sentinels';
const PASSWORD = 'correct the user and the password in GUSHER_REDIS_URL';
const ADDRESS = 'start Redis, or correct GUSHER_REDIS_URL';
const MASTER = 'GUSHER_REDIS_URL must lead to the master';
/** The server is a replica. */
export const REPLICA_MESSAGE = `Redis is a read-only replica; ${MASTER}`;
const NO_TLS = 'use redis:// if its port does not use TLS';

/** Problem and fix for each code of an error reply. */
const MESSAGE_OF_REPLY: ReadonlyMap<string, string> = new Map([
  ['BUSY', 'a script blocks Redis; end it with SCRIPT KILL'],
  ['CLUSTERDOWN', CLUSTER_NODE],
  [
    'DENIED',
    'Redis is in protected mode and rejects clients of other hosts; set a password, or protected-mode no',
  ],
  ['LOADING', 'Redis is loading its data; gusher connects when it has finished'],
  ['MASTERDOWN', `Redis is a replica that has lost its master; ${MASTER}`],
  ['MISCONF', 'Redis cannot save its data and rejects writes; check its disk and its log'],
  ['MOVED', CLUSTER_NODE],
  ['NOAUTH', `Redis requires a password; ${PASSWORD}`],
  ['NOPERM', 'the ACL of Redis forbids a command, key or channel; docs/settings.md lists what gusher needs'],
  ['NOREPLICAS', 'Redis has too few replicas and rejects writes; check them, or min-replicas-to-write'],
  ['OOM', 'Redis has reached maxmemory and rejects writes; raise maxmemory'],
  ['READONLY', REPLICA_MESSAGE],
  ['WRONGPASS', `Redis rejects the password; ${PASSWORD}`],
]);

/** Problem and fix for replies with the general code `ERR`, by the start of their text. */
const MESSAGE_OF_TEXT: ReadonlyMap<string, string> = new Map([
  ['ERR DB index is out of range', 'Redis does not have the database of GUSHER_REDIS_URL; raise databases'],
  ['ERR max number of clients', 'Redis has reached its limit of clients; raise maxclients'],
]);

/**
 * Describes a Redis error and its fix without secrets. Of unknown error replies only the code is shown, because the rest
 * may repeat input.
 */
export function describeRedisError(error: unknown): string {
  // When Redis closes a connection in order, no error occurs.
  if (!(error instanceof Error)) return 'Redis closed the connection';
  if (error instanceof WrongServerError) return error.message;
  if (isReplyError(error)) return describeReply(error);
  return describeSentinelError(error) ?? describeConnectionError(error);
}

function describeReply(error: Error): string {
  for (const [start, message] of MESSAGE_OF_TEXT) if (error.message.startsWith(start)) return message;
  const code = replyErrorCode(error) ?? '';
  return MESSAGE_OF_REPLY.get(code) ?? `Redis returned the error ${code}`;
}

function describeSentinelError(error: Error): string | undefined {
  if (!hasMessage(error, 'sentinelsUnreachable')) return undefined;
  return /WRONGPASS|NOAUTH/.test(error.message)
    ? 'the Sentinels reject the password; correct it in GUSHER_REDIS_URL'
    : 'no Sentinel knows the address of the master; check the Sentinels and the name of the master';
}

function describeConnectionError(error: Error): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED' || code === 'ENOENT') {
    return `no server listens at the address of Redis; ${ADDRESS}`;
  }
  if (hasMessage(error, 'connectionClosed') || hasMessage(error, 'retriesReached')) {
    return 'Redis closed the connection';
  }
  if (isReset(error))
    return `Redis closed the connection (${code}); check its log, maxclients and protected-mode`;
  if (code === 'TLS_TIMEOUT') return `Redis did not answer over TLS; ${NO_TLS}`;
  if (code === 'EPROTO' || code?.startsWith('ERR_SSL_')) return `TLS with Redis failed; ${NO_TLS}`;
  if (hasMessage(error, 'unknownType')) {
    return 'the server at the address of Redis is no Redis; correct GUSHER_REDIS_URL';
  }
  if (code === 'ETIMEDOUT' || /timed out$/.test(message)) return 'Redis did not answer in time';
  return `Redis cannot be reached (${code ?? message}); ${ADDRESS}`;
}
