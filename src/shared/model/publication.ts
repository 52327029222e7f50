import { parseJson } from '../json/parse-json.ts';
import type { TraceContext } from '../tracing/trace-context.ts';
import { hasLoneSurrogate } from './names.ts';
import { isCacheChannel } from './pusher-channel.ts';

/**
 * One message to the subscribers of a channel. Plain data, which crosses process borders unchanged.
 */
export interface Publication {
  readonly channel: string;
  readonly event: string;
  /** The JSON text of `data`, byte for byte as the publisher wrote it. */
  readonly data: string;
  /** The string that a publisher of the Pusher protocol sent, if it differs from `data`. */
  readonly text?: string;
  /** The id of the sending connection, which does not receive the message. */
  readonly except?: string;
  /** A client sent it, not a backend. Cache channels do not store it. */
  readonly fromClient?: true;
  /** The user id of that client in the presence channel. */
  readonly userId?: string;
  /** Set for requests with an Idempotency-Key: a retry has the same id, and each worker delivers it once. */
  readonly id?: string;
  /** Set by the broker: it stores the message for later subscribers of the cache channel. */
  readonly cached?: true;
  /** When gusher accepted it, in ms of `hostNow`; `undefined` for a publication of another host or program. */
  readonly acceptedAt?: number;
  /** Its publisher waits for a delivery report with this id. */
  readonly report?: string;
  /** The span that it comes from, if its trace is sampled. Clients never receive it. */
  readonly trace?: TraceContext;
}

/** Time in ms for which a cache channel stores its last publication. */
export const CACHE_TTL_MS = 30 * 60_000;

/** The last publication of a cache channel and its remaining lifetime. */
export interface CachedPublication {
  readonly publication: Publication;
  readonly ttlMs: number;
}

/** Marks publications of backends to cache channels, which the broker stores for later subscribers. */
export function withCacheFlag(publication: Publication): Publication {
  const isCached = publication.fromClient !== true && isCacheChannel(publication.channel);
  return isCached ? { ...publication, cached: true } : publication;
}

/** Encodes the envelope `{"channel","event","data"}`, in that order, which native clients receive. */
export function envelopeOf({ channel, event, data }: Publication): string {
  return `{"channel":${JSON.stringify(channel)},"event":${JSON.stringify(event)},"data":${data}}`;
}

/**
 * Creates a publication of the Pusher protocol, whose data is a string. Its SDKs usually put JSON text into it, which
 * becomes the data. Any other string becomes a JSON string.
 */
export function publicationOfText(
  channel: string,
  event: string,
  text: string,
  except?: string,
): Publication {
  const origin = { channel, event, ...(except !== undefined && { except }) };
  if (isPlainJson(text)) return { ...origin, data: text };
  const data = parseJson(text) === undefined || hasLoneSurrogate(text) ? JSON.stringify(text) : text.trim();
  return { ...origin, data, text };
}

/** True for JSON text that an envelope and UTF-8 preserve unchanged. */
function isPlainJson(text: string): boolean {
  return parseJson(text) !== undefined && text.trim() === text && !hasLoneSurrogate(text);
}
