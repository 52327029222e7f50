import { sliceMembers, stringOf } from '../../shared/json/raw-json.ts';
import { isChannelName, isEventName } from '../../shared/model/names.ts';
import type { Publication } from '../../shared/model/publication.ts';

/** The event of a push that names none. */
const DEFAULT_EVENT = 'gusher.push';

/**
 * Reads a push in the seed's own form: `{"app_key","channel","data"}`, with an optional `event`, as it is
 * published on `gusher:backpush`; on `gusher:backpush:{app_key}` the key is in the name of the channel.
 * `undefined` if it is none.
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
