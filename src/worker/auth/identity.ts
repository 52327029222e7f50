import * as v from 'valibot';
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

/** A user id from a backend: a string, or a number that becomes a string. Empty for an anonymous client. */
export const userId = v.pipe(
  v.union([v.string(), v.pipe(v.number(), v.transform(String))]),
  v.check((text) => text === '' || isUserId(text)),
);

/** `{"name": true}`: upstream's form of a list of names. */
export const remotes = v.pipe(
  v.record(
    v.pipe(
      v.string(),
      v.check((name) => isName(name, REMOTE_NAME_MAX_LENGTH)),
    ),
    v.boolean(),
  ),
  v.maxEntries(REMOTES_MAX),
  v.transform((record) => Object.keys(record).filter((name) => record[name])),
);
