import { sliceMembers, stringOf } from '../../shared/json/raw-json.ts';
import { isChannelName, isEventName } from '../../shared/model/names.ts';
import type { Publication } from '../../shared/model/publication.ts';

/** The Redis channel of pushes in upstream's form; `gusher:backpush:{app_key}` is the form for one app. */
export const BACKPUSH_TOPIC = 'gusher:backpush';

/** The event of a push without `event`. */
const DEFAULT_EVENT = 'gusher.push';

/**
 * Parses a push in upstream's form: `{"app_key","channel","data"}`, with an optional `event`. `appKeyOfChannel` is the app
 * key in the name of the Redis channel, where it has one. Returns `undefined` if the push is malformed.
 */
export function parseBackpush(
  text: string,
  appKeyOfChannel: string | undefined,
): { appKey: string; publication: Publication } | undefined {
  const members = sliceMembers(text);
  const appKey = appKeyOfChannel ?? stringOf(members?.get('app_key'));
  const channel = stringOf(members?.get('channel'));
  const event = members?.has('event') ? stringOf(members.get('event')) : DEFAULT_EVENT;
  if (appKey === undefined || channel === undefined || event === undefined) return undefined;
  if (!isChannelName(channel) || !isEventName(event)) return undefined;
  return { appKey, publication: { channel, event, data: members?.get('data') ?? 'null' } };
}
