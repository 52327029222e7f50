import { isUserId } from './names.ts';

/**
 * Channel names of the Pusher protocol, whose prefix defines the type of the channel: `presence-`, `private-` and
 * `private-encrypted-`, each also followed by `cache-`, and `cache-` alone.
 */

export const CHANNEL_MAX_LENGTH = 200;
export const CHANNEL = /^#?[-a-zA-Z0-9_=@,.;]+$/;
const CACHE = /^(?:private-encrypted-|private-|presence-)?cache-/;

/** The only channels that begin with `#`: messages to a signed-in user. */
export const USER_CHANNEL_PREFIX = '#server-to-user-';

/** True if the name is valid. In the channel of a user, a user id follows the prefix. */
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

/** True if the channel stores its last event. */
export function isCacheChannel(name: string): boolean {
  return CACHE.test(name);
}
