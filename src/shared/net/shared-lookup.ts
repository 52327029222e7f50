import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Callback = Parameters<LookupFunction>[2];

/** Callbacks of each lookup in progress, by hostname and options. */
const inProgress = new Map<string, Callback[]>();

/**
 * Runs `dns.lookup` once at a time for each name. Attack: a name server that does not respond. Each lookup occupies one of
 * the few libuv threads, so many lookups would block all file operations of the process.
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
