import { parseJson } from '../json/parse-json.ts';
import { isCacheChannel } from './pusher-channel.ts';

/**
 * One message on its way to the subscribers of a channel. Plain data: it crosses process borders as it is.
 */
export interface Publication {
  readonly channel: string;
  readonly event: string;
  /** The JSON text of `data`, byte for byte as the publisher wrote it. */
  readonly data: string;
  /** What a publisher of the Pusher protocol wrote, a string, where that is not `data` itself. */
  readonly text?: string;
  /** The id of the connection that does not get it: the one it came from. */
  readonly except?: string;
  /** A client sent it, not a backend: a cache channel does not keep it. */
  readonly fromClient?: true;
  /** Who that client is in the presence channel. */
  readonly userId?: string;
  /** Of a request with an Idempotency-Key: a repeat has the same id, and each worker delivers it once. */
  readonly id?: string;
  /** Said by the broker: it keeps this for those who subscribe to the cache channel later. */
  readonly cached?: true;
}

/** How long a cache channel keeps its last publication, in ms. */
export const CACHE_TTL_MS = 30 * 60_000;

/** The last publication of a cache channel, and for how long it will be there. */
export interface CachedPublication {
  readonly publication: Publication;
  readonly ttlMs: number;
}

/** As a broker carries it: what a backend has sent to a cache channel is kept for those who subscribe later. */
export function withCacheFlag(publication: Publication): Publication {
  const isCached = publication.fromClient !== true && isCacheChannel(publication.channel);
  return isCached ? { ...publication, cached: true } : publication;
}

/** The envelope `{"channel","event","data"}`, in that order: what native clients get. */
export function envelopeOf({ channel, event, data }: Publication): string {
  return `{"channel":${JSON.stringify(channel)},"event":${JSON.stringify(event)},"data":${data}}`;
}

/**
 * A publication of the Pusher protocol, whose data is a string. By the custom of its SDKs that is JSON text, and is
 * then the data itself; any other string is data as the JSON string that stands for it.
 */
export function publicationOfText(
  channel: string,
  event: string,
  text: string,
  except?: string,
): Publication {
  const origin = { channel, event, ...(except !== undefined && { except }) };
  if (isPlainJson(text)) return { ...origin, data: text };
  const data =
    parseJson(text) === undefined || HALF_CHARACTER.test(text) ? JSON.stringify(text) : text.trim();
  return { ...origin, data, text };
}

/** A surrogate without its partner, which no UTF-8 text can carry. */
const HALF_CHARACTER = /\p{Cs}/u;

/** JSON text that comes out of an envelope, and through UTF-8, as the same characters. */
function isPlainJson(text: string): boolean {
  return parseJson(text) !== undefined && text.trim() === text && !HALF_CHARACTER.test(text);
}
