import * as v from 'valibot';
import { sliceMembers, stringOf } from '../json/raw-json.ts';
import { isReportId } from '../metrics/delivery-report.ts';
import { readTraceContext } from '../tracing/trace-context.ts';
import { isChannelName, isEventName, isPublicationId, isSocketId, isUserId } from './names.ts';
import { envelopeOf, type Publication } from './publication.ts';

/** Microseconds. */
const STAMP_DIGITS = 3;

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
  report: v.exactOptional(v.pipe(v.string(), v.check(isReportId))),
  /** See `stampOf`. */
  accepted: v.optional(v.unknown()),
  /** See `readTraceContext`. */
  trace: v.optional(v.unknown()),
});

/** The extra fields of most publications: parsed without a schema. */
const ONLY_STAMP = /^\{"accepted":("[\w-]{1,64}:[\d.]{1,32}")\}$/;

/**
 * Parses an envelope `{"channel","event","data"}` from an untrusted source. Keeps the bytes of `data`; absent `data` becomes
 * null. Ignores other members. `hostId` names this host: its publications get `acceptedAt` back. Returns `undefined` if it is not an envelope or a name is invalid.
 */
export function parseEnvelope(text: string, hostId?: string): Publication | undefined {
  const members = sliceMembers(text);
  const channel = stringOf(members?.get('channel'));
  const event = stringOf(members?.get('event'));
  if (channel === undefined || event === undefined) return undefined;
  if (!isChannelName(channel) || !isEventName(event)) return undefined;
  const publication = { channel, event, data: members?.get('data') ?? 'null' };
  const raw = members?.get(MEMBER);
  if (raw === undefined) return publication;
  const [, stamp] = ONLY_STAMP.exec(raw) ?? [];
  if (stamp !== undefined) return withStamp(publication, stamp.slice(1, -1), hostId);
  const parsed = v.safeParse(extras, JSON.parse(raw));
  if (!parsed.success) return undefined;
  const { accepted, trace: received, ...rest } = parsed.output;
  const trace = readTraceContext(received);
  return withStamp({ ...publication, ...rest, ...(trace !== undefined && { trace }) }, accepted, hostId);
}

/**
 * Encodes a publication for Redis: its envelope, with its other fields in one extra member. `hostId` names this host, whose
 * clock `acceptedAt` refers to.
 */
export function envelopeText(publication: Publication, hostId?: string): string {
  const { channel: _channel, event: _event, data: _data, acceptedAt, ...others } = publication;
  const isStamped = acceptedAt !== undefined && hostId !== undefined;
  const rest = isStamped ? { ...others, accepted: stampOf(hostId, acceptedAt) } : others;
  const envelope = envelopeOf(publication);
  if (Object.keys(rest).length === 0) return envelope;
  return `${envelope.slice(0, -1)},"${MEMBER}":${JSON.stringify(rest)}}`;
}

/** The time of the acceptance and the host whose clock it refers to. */
function stampOf(hostId: string, acceptedAt: number): string {
  return `${hostId}:${acceptedAt.toFixed(STAMP_DIGITS)}`;
}

/** Clocks of hosts are unrelated, so the stamp of another host, or an invalid one, is dropped. */
function withStamp(publication: Publication, stamp: unknown, hostId: string | undefined): Publication {
  if (hostId === undefined || typeof stamp !== 'string') return publication;
  if (!stamp.startsWith(`${hostId}:`)) return publication;
  const acceptedAt = Number(stamp.slice(hostId.length + 1));
  return Number.isFinite(acceptedAt) ? { ...publication, acceptedAt } : publication;
}
