import * as v from 'valibot';
import { isName, isUserId } from '../../shared/model/names.ts';

/** Attack: a list of remotes that costs memory for each connection. */
const REMOTES_MAX = 1_000;
const REMOTE_NAME_MAX_LENGTH = 256;

/** Who a client is and what it may do, as a webhook or a token says. */
export interface Identity {
  /** Empty for a client without a name. */
  readonly userId: string;
  readonly channels: readonly string[];
  /** Names of the commands that it may send to the backend by `gusher.remote`. */
  readonly remotes: readonly string[];
  /** When this ends, in ms since 1970; `undefined`: never. */
  readonly expiresAt: number | undefined;
}

/** A user id as others write it: a string, or a number that is meant as one. Empty: no user. */
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
