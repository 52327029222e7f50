import { GusherError } from '../../../shared/errors/catalogue.ts';
import { sliceMembers } from '../../../shared/json/raw-json.ts';
import { isName } from '../../../shared/model/names.ts';
import type { Member } from '../../../shared/model/presence.ts';

/** The limit of hosted Pusher. */
export const MEMBER_ID_MAX_LENGTH = 128;

/** Digits are kept as text: beyond 2^53 several integers are the same number in JavaScript. */
const INTEGER = /^-?[1-9]\d*$/;

/** The user id in the JSON of clients and backends. A string and a number with the same text are the same user. */
export function memberIdOf(json: string): string | undefined {
  const value: unknown = INTEGER.test(json) ? json : JSON.parse(json);
  const id = typeof value === 'number' && Number.isFinite(value) ? String(value) : value;
  return typeof id === 'string' && isName(id, MEMBER_ID_MAX_LENGTH) ? id : undefined;
}

/**
 * Parses verified `channel_data`: `{"user_id","user_info"?}`. Keeps the JSON text of `user_info`. Throws `bad_member` or
 * `member_too_large`.
 */
export function memberOf(channelData: string, infoMaxBytes: number): Member {
  const fields = sliceMembers(channelData);
  const raw = fields?.get('user_id');
  const user = raw === undefined ? undefined : memberIdOf(raw);
  if (user === undefined) throw new GusherError('bad_member');
  const info = fields?.get('user_info');
  if (info === undefined) return { user };
  if (Buffer.byteLength(info) > infoMaxBytes) throw new GusherError('member_too_large');
  return { user, info };
}
