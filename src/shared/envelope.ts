import type { Publication } from './publication.ts';
import { sliceMembers, stringOf } from './raw-json.ts';
import { isChannelName, isEventName } from './topic.ts';

/**
 * Reads an envelope `{"channel","event","data"}` that somebody else wrote. `data` is kept byte for byte, and
 * null when absent; other members are ignored. `undefined` if it is no envelope or breaks a rule for names.
 */
export function parseEnvelope(text: string): Publication | undefined {
  const members = sliceMembers(text);
  const channel = stringOf(members?.get('channel'));
  const event = stringOf(members?.get('event'));
  if (channel === undefined || event === undefined) return undefined;
  if (!isChannelName(channel) || !isEventName(event)) return undefined;
  return { channel, event, data: members?.get('data') ?? 'null' };
}
