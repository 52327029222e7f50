import * as v from 'valibot';
import { isObject } from '../../shared/json/is-object.ts';
import { idOf, sliceMembers } from '../../shared/json/raw-json.ts';
import { isName, isUserId } from '../../shared/model/names.ts';

/** Attack: a long list of remotes, which costs memory per connection. */
const REMOTES_MAX = 1_000;
const REMOTE_NAME_MAX_LENGTH = 256;

/** The user of a client and its grants, from a webhook or a token. */
export interface Identity {
  /** Empty for an anonymous client. */
  readonly userId: string;
  readonly channels: readonly string[];
  /** Names of the remotes that the client may call with `gusher.remote`. */
  readonly remotes: readonly string[];
  /** Time of expiry in ms since 1970; `undefined` if it never expires. */
  readonly expiresAt: number | undefined;
}

/** A user id from a backend, which `withExactUserId` has made text. Empty for an anonymous client. */
export const userId = v.pipe(
  v.string(),
  v.check((text) => text === '' || isUserId(text)),
);

/**
 * Returns the members of JSON text from a backend, with a numeric `user_id` as the text of its digits: `JSON.parse` would
 * make one user of 9007199254740992 and 9007199254740993.
 */
export function withExactUserId(fields: object, text: string): object {
  const id = idOf(sliceMembers(text)?.get('user_id'));
  // The schema checks everything else.
  return id === undefined ? fields : { ...fields, user_id: id };
}

/**
 * `{"name": true}`: upstream's form of a list of names. Not `v.record`, which ignores the keys `__proto__`, `prototype`
 * and `constructor`.
 */
export const remotes = v.pipe(
  v.custom<Record<string, unknown>>(isObject),
  v.transform((record) => Object.entries(record)),
  v.maxLength(REMOTES_MAX),
  v.check((entries) =>
    entries.every(([name, granted]) => isName(name, REMOTE_NAME_MAX_LENGTH) && typeof granted === 'boolean'),
  ),
  v.transform((entries) => entries.filter(([, granted]) => granted === true).map(([name]) => name)),
);
