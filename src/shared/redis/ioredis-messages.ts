/**
 * Texts by which errors of ioredis are recognized, because ioredis gives them no code. A test looks for each of them in
 * the installed version.
 */
export const IOREDIS_MESSAGES = {
  /** A command was rejected before it was written to the connection. */
  streamNotWritable: "Stream isn't writeable",
  /** The connection closed before the reply, or while connecting. */
  connectionClosed: 'Connection is closed.',
  /** The connection closed, and the command must not be sent again. */
  retriesReached: 'Reached the max retries per request limit',
  /** No Sentinel answered with an address; `Last error: …` may follow. */
  sentinelsUnreachable: 'All sentinels are unreachable',
  /** The bytes of the peer are not the Redis protocol. */
  unknownType: 'Unknown RESP type',
  /** No reply arrived within `commandTimeout`. */
  commandTimedOut: 'Command timed out',
} as const;

export function hasMessage(error: unknown, name: keyof typeof IOREDIS_MESSAGES): boolean {
  return error instanceof Error && error.message.startsWith(IOREDIS_MESSAGES[name]);
}
