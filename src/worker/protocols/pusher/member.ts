import { GusherError } from '../../../shared/errors/catalogue.ts';
import { idOf, sliceMembers } from '../../../shared/json/raw-json.ts';
import { isName } from '../../../shared/model/names.ts';
import type { Member } from '../../../shared/model/presence.ts';

/** The limit of hosted Pusher. */
export const MEMBER_ID_MAX_LENGTH = 128;

/** The user id in the JSON of clients and backends. A string and a number with the same text are the same user. */
export function memberIdOf(json: string): string | undefined {
  const id = idOf(json);
  return id !== undefined && isName(id, MEMBER_ID_MAX_LENGTH) ? id : undefined;
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
