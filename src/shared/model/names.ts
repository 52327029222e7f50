/**
 * The names that cross process borders, with one rule for each. Every input (HTTP, both socket protocols, Redis, webhook
 * responses, tokens, files) and every later reader checks names with these functions.
 *
 * A name is well-formed Unicode without control characters (general categories Cc and Cs). Different lone surrogates
 * become the same UTF-8 bytes, and control characters break lines of logs and terminals. All other
 * characters are allowed, including U+2028 and `@`. Lengths bound the memory per name, in UTF-16 code units: a name of
 * 256 units has at most 768 bytes in UTF-8.
 */

export const APP_KEY_MAX_LENGTH = 128;
export const CHANNEL_MAX_LENGTH = 256;
export const EVENT_MAX_LENGTH = 256;
export const USER_ID_MAX_LENGTH = 256;
export const SOCKET_ID_MAX_LENGTH = 64;

const PUBLICATION_ID_MAX_LENGTH = 64;

// Not `.` and `..`: URL parsers remove these segments from paths, even when percent-encoded (RFC 3986 §5.2.4).
export const APP_KEY = /^(?!\.{1,2}$)[A-Za-z0-9_.~-]+$/;
// C0, DEL and C1 controls, and lone surrogates: unsafe in log lines, terminals or UTF-8.
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;
const LONE_SURROGATE = /\p{Cs}/u;

/** App keys occur in URLs, in Redis keys and before the `@` of a topic, so their alphabet is small. */
export function isAppKey(text: string): boolean {
  return text.length <= APP_KEY_MAX_LENGTH && APP_KEY.test(text);
}

export function isChannelName(text: string): boolean {
  return isName(text, CHANNEL_MAX_LENGTH);
}

export function isEventName(text: string): boolean {
  return isName(text, EVENT_MAX_LENGTH);
}

/** An empty id is not a user id: it stands for connections without a user. */
export function isUserId(text: string): boolean {
  return isName(text, USER_ID_MAX_LENGTH);
}

export function isSocketId(text: string): boolean {
  return isName(text, SOCKET_ID_MAX_LENGTH);
}

/** True if the text has half of a surrogate pair, which no UTF-8 text can carry. */
export function hasLoneSurrogate(text: string): boolean {
  return LONE_SURROGATE.test(text);
}

/** The rule for all names. */
export function isName(text: string, maxLength: number): boolean {
  return text.length > 0 && text.length <= maxLength && !UNPRINTABLE.test(text);
}

/** Checks an id that gusher derived from an Idempotency-Key; any Redis client may have written it. */
export function isPublicationId(text: string): boolean {
  return text.length <= PUBLICATION_ID_MAX_LENGTH && /^[A-Za-z0-9_:-]+$/.test(text);
}

/**
 * Returns the topic of one channel of one app in a broker: `{app_key}@{channel}`. App keys have no `@`, so two apps never
 * share a topic.
 */
export function topicOf(appKey: string, channel: string): string {
  return `${appKey}@${channel}`;
}

/** Returns the app key of a topic. */
export function appKeyOf(topic: string): string {
  return topic.slice(0, topic.indexOf('@'));
}

/** Returns the channel of a topic. */
export function channelOf(topic: string): string {
  return topic.slice(topic.indexOf('@') + 1);
}
