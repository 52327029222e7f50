import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Callback = Parameters<LookupFunction>[2];

/** By hostname and options: the callers of the lookup in progress. */
const inProgress = new Map<string, Callback[]>();

/**
 * `dns.lookup`, once at a time for each name. A lookup occupies a thread of libuv's small pool until the resolver gives
 * up; a name server that does not respond would otherwise block every file and name operation of the process.
 */
export const lookupShared: LookupFunction = (hostname, options, callback) => {
  const key = `${options.family ?? 0} ${options.hints ?? 0} ${options.all === true} ${hostname}`;
  const callers = inProgress.get(key);
  if (callers !== undefined) {
    callers.push(callback);
    return;
  }
  const all: Callback[] = [callback];
  inProgress.set(key, all);
  lookup(hostname, options, (error, address, family) => {
    inProgress.delete(key);
    for (const answer of all) answer(error, address, family);
  });
};
