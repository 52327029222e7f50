import { isUtf8 } from 'node:buffer';
import * as v from 'valibot';
import { parseJson } from '../../../shared/json/parse-json.ts';
import { isAppKey, isChannelName, isUserId } from '../../../shared/model/names.ts';
import type { PresenceRecord } from '../registry.ts';

/**
 * What the hosts of one Redis tell each other of who is present, and what each keeps there of itself. Anybody
 * who can write to Redis can write this, so it is read with a schema and with bounds.
 */

/**
 * `beat`: I live. `hello`: so do I, and who are you? `change`: these counts of mine are others now. `bye`: all my
 * counts are 0.
 */
export interface ClusterMessage {
  readonly kind: 'heartbeat' | 'hello' | 'delta' | 'leave';
  readonly host: string;
  /** Number of the latest change: a listener that misses one reads the part anew. */
  readonly sequence: number;
  /** Whether all that the host has is in Redis, to be read. */
  readonly complete: boolean;
  /** Whether the host knows the others well enough to speak for all of them. */
  readonly isVoter: boolean;
  /** Counts as they are now; 0: none any more. */
  readonly records: readonly PresenceRecord[];
}

/** Most records in one message: some milliseconds of the listener's time. */
export const RECORDS_PER_MESSAGE = 500;
/** Longest message that is read. Attack: one that takes long to parse. */
const MESSAGE_MAX_BYTES = 8 * 1024 * 1024;
const COUNT_MAX = 1_000_000_000;
/** Ten times what Pusher allows a member to say of itself. */
export const INFO_MAX_LENGTH = 16 * 1024;
const HOST_ID = /^[A-Za-z0-9_-]{20}$/;

const messageSchema = v.object({
  kind: v.picklist(['heartbeat', 'hello', 'delta', 'leave']),
  host: v.pipe(v.string(), v.regex(HOST_ID)),
  sequence: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  complete: v.boolean(),
  isVoter: v.boolean(),
  records: v.pipe(v.array(v.unknown()), v.maxLength(RECORDS_PER_MESSAGE)),
});

export function messageText(message: ClusterMessage): string {
  const records = message.records.map(({ app, channel, user, count, info }) =>
    info === undefined ? [app, channel, user, count] : [app, channel, user, count, info],
  );
  return JSON.stringify({ ...message, records });
}

/**
 * `undefined` if the message breaks a rule. A record that breaks one is left out: the others are still true.
 */
export function parseMessage(bytes: Buffer): ClusterMessage | undefined {
  if (bytes.length > MESSAGE_MAX_BYTES || !isUtf8(bytes)) return undefined;
  const parsed = v.safeParse(messageSchema, parseJson(bytes.toString('utf8')));
  if (!parsed.success) return undefined;
  const records: PresenceRecord[] = [];
  for (const fields of parsed.output.records) {
    const record = Array.isArray(fields) ? recordOf(fields) : undefined;
    if (record !== undefined) records.push(record);
  }
  return { ...parsed.output, records };
}

/** A record's name: its field in the hash of its host. Neither app keys nor channel names have a line break. */
export function keyOf(app: string, channel: string, user: string): string {
  return `${app}\n${channel}\n${user}`;
}

/** Takes a key apart; what is no key of a record becomes a record that breaks a rule. */
export function namesOf(key: string): [app: string, channel: string, user: string] {
  const first = key.indexOf('\n');
  const second = key.indexOf('\n', first + 1);
  return [key.slice(0, first), key.slice(first + 1, second), key.slice(second + 1)];
}

/** The value of a record's field: its count, then a space and the info if there is one. */
export function valueText({ count, info }: PresenceRecord): string {
  return info === undefined ? String(count) : `${count} ${info}`;
}

/** Reads a field of the hash; `undefined` if it breaks a rule. */
export function parseField(key: string, value: string): PresenceRecord | undefined {
  const space = value.indexOf(' ');
  const names = namesOf(key);
  if (space < 0) return recordOf([...names, Number(value)]);
  return recordOf([...names, Number(value.slice(0, space)), value.slice(space + 1)]);
}

function recordOf([app, channel, user, count, info, ...more]: readonly unknown[]):
  | PresenceRecord
  | undefined {
  if (more.length > 0 || typeof app !== 'string' || !isAppKey(app)) return undefined;
  if (typeof channel !== 'string' || !(channel === '' || isChannelName(channel))) return undefined;
  if (typeof user !== 'string' || !(user === '' || isUserId(user))) return undefined;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > COUNT_MAX)
    return undefined;
  if (info === undefined) return { app, channel, user, count };
  if (typeof info !== 'string' || info.length > INFO_MAX_LENGTH || parseJson(info) === undefined)
    return undefined;
  return { app, channel, user, count, info };
}
