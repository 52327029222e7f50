import * as v from 'valibot';
import { sliceMembers, stringOf } from '../json/raw-json.ts';
import { isChannelName, isEventName, isPublicationId, isSocketId, isUserId } from './names.ts';
import { envelopeOf, type Publication } from './publication.ts';

/** The member that holds all other fields of a publication, so that only one name is reserved. */
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
 * Parses an envelope `{"channel","event","data"}` from an untrusted source. Keeps the bytes of `data`; absent `data` becomes
 * null. Ignores other members. Returns `undefined` if it is not an envelope or a name is invalid.
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

/** Encodes a publication for Redis: its envelope, with its other fields in one extra member. */
export function envelopeText(publication: Publication): string {
  const { channel: _channel, event: _event, data: _data, ...rest } = publication;
  const envelope = envelopeOf(publication);
  if (Object.keys(rest).length === 0) return envelope;
  return `${envelope.slice(0, -1)},"${MEMBER}":${JSON.stringify(rest)}}`;
}
