/**
 * The names that cross process borders, and the one rule for each. Every entry (HTTP, both socket protocols, Redis,
 * webhook answers, tokens, files) checks a name by these functions, and every reader behind it by the same ones.
 *
 * A name is well-formed Unicode without control characters (general categories Cc and Cs). Two names with different
 * lone surrogates become the same UTF-8 bytes, and a control character ends a line of a log or a terminal. All other
 * characters are allowed, U+2028 and `@` among them. Lengths bound the memory per name, in UTF-16 code units: a name of
 * 256 units has at most 768 bytes in UTF-8.
 */

export const APP_KEY_MAX_LENGTH = 128;
export const CHANNEL_MAX_LENGTH = 256;
export const EVENT_MAX_LENGTH = 256;
export const USER_ID_MAX_LENGTH = 256;
export const SOCKET_ID_MAX_LENGTH = 64;

export const PUBLICATION_ID_MAX_LENGTH = 64;

const APP_KEY = /^[A-Za-z0-9_.~-]+$/;
// C0, DEL and C1 controls, and lone surrogates: none survives a log line, a terminal or UTF-8.
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** An app key stands in URLs, in Redis keys and before the `@` of a topic: it needs a plain alphabet. */
export function isAppKey(text: string): boolean {
  return text.length <= APP_KEY_MAX_LENGTH && APP_KEY.test(text);
}

export function isChannelName(text: string): boolean {
  return isName(text, CHANNEL_MAX_LENGTH);
}

export function isEventName(text: string): boolean {
  return isName(text, EVENT_MAX_LENGTH);
}

/** An empty id is none: it stands for connections without a user. */
export function isUserId(text: string): boolean {
  return isName(text, USER_ID_MAX_LENGTH);
}

export function isSocketId(text: string): boolean {
  return isName(text, SOCKET_ID_MAX_LENGTH);
}

/** The rule that all names keep, whatever they name. */
export function isName(text: string, maxLength: number): boolean {
  return text.length > 0 && text.length <= maxLength && !UNPRINTABLE.test(text);
}

/** An id that gusher made from an Idempotency-Key; it comes back from Redis, where any client may have written it. */
export function isPublicationId(text: string): boolean {
  return text.length <= PUBLICATION_ID_MAX_LENGTH && /^[A-Za-z0-9_:-]+$/.test(text);
}

/**
 * The name under which a broker carries one channel of one app: `{app_key}@{channel}`. App keys have no `@`,
 * so two apps never share a topic.
 */
export function topicOf(appKey: string, channel: string): string {
  return `${appKey}@${channel}`;
}

/** The channel of a topic. */
export function channelOf(topic: string): string {
  return topic.slice(topic.indexOf('@') + 1);
}

/** Takes a topic apart; `undefined` if it is none. */
export function parseTopic(topic: string): { appKey: string; channel: string } | undefined {
  const at = topic.indexOf('@');
  const appKey = topic.slice(0, Math.max(at, 0));
  const channel = channelOf(topic);
  return isAppKey(appKey) && isChannelName(channel) ? { appKey, channel } : undefined;
}
