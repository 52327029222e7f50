/**
 * What names cost the primary, which holds every channel and every user of all workers and hosts: the heap that one
 * entry was measured to take (see docs/performance.md), and two bytes for each character in each of its two copies.
 */
const CHANNEL_BYTES = 1_200;
const USER_BYTES = 400;
const BYTES_PER_CHARACTER = 4;

/** Of a channel in which somebody is subscribed; of an app's connections where the name is empty. */
export function channelCost(channel: string): number {
  return CHANNEL_BYTES + BYTES_PER_CHARACTER * channel.length;
}

/** Of a user with a name in one channel, or connected to one app. */
export function userCost(user: string): number {
  return user === '' ? 0 : USER_BYTES + BYTES_PER_CHARACTER * user.length;
}
