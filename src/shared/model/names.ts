/** The names that cross process borders, and the rules each must keep. Lengths bound memory per name. */

export const APP_KEY_MAX_LENGTH = 128;
export const CHANNEL_MAX_LENGTH = 256;
export const EVENT_MAX_LENGTH = 256;
export const USER_ID_MAX_LENGTH = 256;
export const SOCKET_ID_MAX_LENGTH = 64;

const APP_KEY = /^[A-Za-z0-9_.~-]+$/;
// C0, DEL and C1 controls, and lone surrogates: none survives a log line, a terminal or UTF-8.
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** An app key stands in URLs, in Redis keys and before the `@` of a topic: it needs a plain alphabet. */
export function isAppKey(text: string): boolean {
  return text.length <= APP_KEY_MAX_LENGTH && APP_KEY.test(text);
}

export function isChannelName(text: string): boolean {
  return text.length > 0 && text.length <= CHANNEL_MAX_LENGTH && !UNPRINTABLE.test(text);
}

export function isEventName(text: string): boolean {
  return text.length > 0 && text.length <= EVENT_MAX_LENGTH && !UNPRINTABLE.test(text);
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
