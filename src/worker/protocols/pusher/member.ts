import type { ErrorCode } from '../../../shared/errors/catalogue.ts';
import { sliceMembers } from '../../../shared/json/raw-json.ts';
import { isName } from '../../../shared/model/names.ts';
import type { Member } from '../../../shared/model/presence.ts';

/** As hosted Pusher has it. */
export const MEMBER_ID_MAX_LENGTH = 128;

/** Its digits are kept as they are: beyond 2^53 several of them are one number to JavaScript. */
const INTEGER = /^-?[1-9]\d*$/;

/** A user's id in the JSON of clients and backends, a string or a number; both are one user. */
export function memberIdOf(json: string): string | undefined {
  const value: unknown = INTEGER.test(json) ? json : JSON.parse(json);
  const id = typeof value === 'number' && Number.isFinite(value) ? String(value) : value;
  return typeof id === 'string' && isName(id, MEMBER_ID_MAX_LENGTH) ? id : undefined;
}

/** Reads `channel_data` `{"user_id","user_info"?}`, which has been verified. `user_info` is kept as it was written. */
export function memberOf(channelData: string, infoMaxBytes: number): Member | ErrorCode {
  const fields = sliceMembers(channelData);
  const raw = fields?.get('user_id');
  const user = raw === undefined ? undefined : memberIdOf(raw);
  if (user === undefined) return 'bad_member';
  const info = fields?.get('user_info');
  if (info === undefined) return { user };
  return Buffer.byteLength(info) > infoMaxBytes ? 'member_too_large' : { user, info };
}
