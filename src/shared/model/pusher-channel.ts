import { isUserId } from './names.ts';

/**
 * Channel names as the Pusher protocol has them: what a channel is, its name begins with. `presence-`, `private-`
 * and `private-encrypted-`, each of them also with `cache-` behind it, and `cache-` alone.
 */

const CHANNEL_MAX_LENGTH = 200;
const CHANNEL = /^#?[-a-zA-Z0-9_=@,.;]+$/;
const CACHE = /^(?:private-encrypted-|private-|presence-)?cache-/;

/** Of the channels that begin with `#` there is one kind: what is sent to a user who has signed in. */
export const USER_CHANNEL_PREFIX = '#server-to-user-';

/** Whether there can be a channel of that name. The rest of the name of a user's own channel is a user id. */
export function isPusherChannel(name: string): boolean {
  if (name.length > CHANNEL_MAX_LENGTH) return false;
  if (name.startsWith('#')) return isUserChannel(name);
  return CHANNEL.test(name);
}

export function isUserChannel(name: string): boolean {
  return name.startsWith(USER_CHANNEL_PREFIX) && isUserId(name.slice(USER_CHANNEL_PREFIX.length));
}

export function isPresenceChannel(name: string): boolean {
  return name.startsWith('presence-');
}

export function isEncryptedChannel(name: string): boolean {
  return name.startsWith('private-encrypted-');
}

/** Whether the channel remembers the last event published to it. */
export function isCacheChannel(name: string): boolean {
  return CACHE.test(name);
}
