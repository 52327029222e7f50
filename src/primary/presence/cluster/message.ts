import { isUtf8 } from 'node:buffer';
import * as v from 'valibot';
import { parseJson } from '../../../shared/json/parse-json.ts';
import { isAppKey, isChannelName, isUserId } from '../../../shared/model/names.ts';
import { MEMBER_INFO_MAX_BYTES } from '../../../shared/model/presence.ts';
import type { PresenceRecord } from '../registry.ts';

/**
 * The presence messages between the hosts that share a Redis, and the records that each stores there. Any program with
 * access to Redis can write them, so a schema and bounds check what is read.
 */

/**
 * `heartbeat`: the host is alive. `hello`: the same, and the others must reply. `delta`: counts have changed. `leave`: all
 * counts of the host are 0.
 */
export interface ClusterMessage {
  readonly kind: 'heartbeat' | 'hello' | 'delta' | 'leave';
  readonly host: string;
  /** Number of the last delta. A host that misses one reads the whole replica. */
  readonly sequence: number;
  /** Whether all records of the host are in Redis. */
  readonly complete: boolean;
  /** Whether the host knows the others well enough to own channels. */
  readonly isVoter: boolean;
  /** Current counts; 0 removes a record. */
  readonly records: readonly PresenceRecord[];
}

/** Maximum records of one message, which take the receiver some milliseconds. */
export const RECORDS_PER_MESSAGE = 500;
/** Attack: a message that takes long to parse. */
const MESSAGE_MAX_BYTES = 8 * 1024 * 1024;
const COUNT_MAX = 1_000_000_000;
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

/** Returns `undefined` for an invalid message. Skips invalid records: the others are still correct. */
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

/** Returns the key of a record in the hash of its host. App keys and channel names contain no line break. */
export function keyOf(app: string, channel: string, user: string): string {
  return `${app}\n${channel}\n${user}`;
}

/** Splits a key into its names. An invalid key results in invalid names. */
export function namesOf(key: string): [app: string, channel: string, user: string] {
  const first = key.indexOf('\n');
  const second = key.indexOf('\n', first + 1);
  return [key.slice(0, first), key.slice(first + 1, second), key.slice(second + 1)];
}

/** Returns the value of a record in the hash: its count, then a space and the info if it has one. */
export function valueText({ count, info }: PresenceRecord): string {
  return info === undefined ? String(count) : `${count} ${info}`;
}

/** Parses a field of the hash; `undefined` if it is invalid. */
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
  if (
    typeof info !== 'string' ||
    Buffer.byteLength(info) > MEMBER_INFO_MAX_BYTES ||
    parseJson(info) === undefined
  )
    return undefined;
  return { app, channel, user, count, info };
}
