import * as v from 'valibot';
import { sliceMembers, stringOf } from '../json/raw-json.ts';
import { isChannelName, isEventName, isPublicationId, isSocketId, isUserId } from './names.ts';
import { envelopeOf, type Publication } from './publication.ts';

/** What a publication has beside the envelope; one member, so that it takes no name from a backend. */
const MEMBER = 'gusher';

const publicationId = v.pipe(v.string(), v.check(isPublicationId));

const extras = v.object({
  text: v.exactOptional(v.string()),
  except: v.exactOptional(v.pipe(v.string(), v.check(isSocketId))),
  fromClient: v.exactOptional(v.literal(true)),
  userId: v.exactOptional(v.pipe(v.string(), v.check(isUserId))),
  cached: v.exactOptional(v.literal(true)),
  id: v.exactOptional(publicationId),
});

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
  const publication = { channel, event, data: members?.get('data') ?? 'null' };
  const raw = members?.get(MEMBER);
  if (raw === undefined) return publication;
  const parsed = v.safeParse(extras, JSON.parse(raw));
  return parsed.success ? { ...publication, ...parsed.output } : undefined;
}

/** The text by which Redis carries a publication: its envelope, and what else there is to it. */
export function envelopeText(publication: Publication): string {
  const { channel: _channel, event: _event, data: _data, ...rest } = publication;
  const envelope = envelopeOf(publication);
  if (Object.keys(rest).length === 0) return envelope;
  return `${envelope.slice(0, -1)},"${MEMBER}":${JSON.stringify(rest)}}`;
}
