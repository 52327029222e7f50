import type { ErrorEntry } from '../../../shared/errors/catalogue.ts';
import type { Member, MemberList } from '../../../shared/model/presence.ts';
import type { Publication } from '../../../shared/model/publication.ts';
import { codeOf } from './close-codes.ts';

/** Every message of the server. `data` is a JSON string, except where the protocol defines an object. */

export const PONG = '{"event":"pusher:pong","data":"{}"}';

/** A publication. `data` is the published string; from a client it is the JSON that the client sent. */
export function publicationText({ channel, event, data, text, fromClient, userId }: Publication): string {
  const json = fromClient === true ? data : JSON.stringify(text ?? data);
  const sender = userId === undefined ? '' : `,"user_id":${JSON.stringify(userId)}`;
  return `{"event":${JSON.stringify(event)},"channel":${JSON.stringify(channel)},"data":${json}${sender}}`;
}

/** A message without a channel, to one connection. */
export function messageText(event: string, json: string): string {
  return `{"event":${JSON.stringify(event)},"data":${JSON.stringify(json)}}`;
}

export function channelMessageText(event: string, channel: string, json: string): string {
  return `{"event":${JSON.stringify(event)},"channel":${JSON.stringify(channel)},"data":${JSON.stringify(json)}}`;
}

export function establishedText(socketId: string, activityTimeoutS: number): string {
  return messageText(
    'pusher:connection_established',
    JSON.stringify({ socket_id: socketId, activity_timeout: activityTimeoutS }),
  );
}

/** `data` is an object here. */
export function errorText(error: ErrorEntry): string {
  const data = { message: error.message, code: codeOf(error) ?? null };
  return JSON.stringify({ event: 'pusher:error', data });
}

/** The error before a close. Carries the close code, not the code of the error. */
export function closingErrorText({ message }: ErrorEntry, code: number): string {
  return JSON.stringify({ event: 'pusher:error', data: { message, code } });
}

export function subscriptionSucceededText(channel: string, json = '{}'): string {
  return channelMessageText('pusher_internal:subscription_succeeded', channel, json);
}

/** `data` is an object here. */
export function subscriptionErrorText(channel: string, type: string, error: ErrorEntry): string {
  const data = { type, error: error.message, status: error.http ?? 400 };
  return JSON.stringify({ event: 'pusher:subscription_error', channel, data });
}

/** The member list of a presence channel. `count` includes members beyond the page. */
export function presenceJson({ members, users }: MemberList): string {
  const ids = members.map(({ user }) => JSON.stringify(user));
  const hash = members.map(({ user, info = 'null' }) => `${JSON.stringify(user)}:${info}`);
  return `{"presence":{"ids":[${ids.join(',')}],"hash":{${hash.join(',')}},"count":${users}}}`;
}

export function memberAddedText(channel: string, { user, info }: Member): string {
  const userInfo = info === undefined ? '' : `,"user_info":${info}`;
  const json = `{"user_id":${JSON.stringify(user)}${userInfo}}`;
  return channelMessageText('pusher_internal:member_added', channel, json);
}

export function memberRemovedText(channel: string, user: string): string {
  return channelMessageText('pusher_internal:member_removed', channel, JSON.stringify({ user_id: user }));
}

export function subscriptionCountText(channel: string, count: number): string {
  const json = JSON.stringify({ subscription_count: count });
  return channelMessageText('pusher_internal:subscription_count', channel, json);
}

/** The Java client reads `data` of every event, so it must not be absent. */
export function cacheMissText(channel: string): string {
  return channelMessageText('pusher:cache_miss', channel, '{}');
}

export function signinSuccessText(userData: string): string {
  return messageText('pusher:signin_success', JSON.stringify({ user_data: userData }));
}

/** A message without a channel. Empty lists are omitted. */
export function watchlistText(online: readonly string[], offline: readonly string[]): string {
  const events = [
    ...(online.length > 0 ? [{ name: 'online', user_ids: online }] : []),
    ...(offline.length > 0 ? [{ name: 'offline', user_ids: offline }] : []),
  ];
  return messageText('pusher_internal:watchlist_events', JSON.stringify({ events }));
}
