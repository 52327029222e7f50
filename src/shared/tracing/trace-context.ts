import { isObject } from '../json/is-object.ts';

/** The position of a publication in a trace: the fields of W3C Trace Context. */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate?: string;
}

/** The parts of a valid `traceparent`. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

const TRACEPARENT_LENGTH = 55;
/** W3C Trace Context §3.2.2: lower-case hex; version ff and ids of zeros are invalid. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;
const VERSION = '00';
/** W3C Trace Context §3.3.1.5: what a receiver should pass on at least. */
const TRACESTATE_MAX_LENGTH = 512;
const TRACESTATE = /^[\t\x20-\x7e]+$/;
const SAMPLED = 0x01;

/**
 * Returns a valid context, for fields of any origin. Returns `undefined` if `traceparent` is invalid; an invalid `tracestate`
 * is dropped (W3C Trace Context §4.3).
 */
export function traceContextOf(traceparent: unknown, tracestate?: unknown): TraceContext | undefined {
  const parent = typeof traceparent === 'string' ? firstFieldsOf(traceparent) : undefined;
  if (parent === undefined || parseTraceparent(parent) === undefined) return undefined;
  return isTracestate(tracestate) ? { traceparent: parent, tracestate } : { traceparent: parent };
}

/** Reads a context that another process encoded as JSON. */
export function readTraceContext(value: unknown): TraceContext | undefined {
  if (!isObject(value)) return undefined;
  const { traceparent, tracestate } = value as Record<string, unknown>;
  return traceContextOf(traceparent, tracestate);
}

export function parseTraceparent(text: string): TraceParent | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/** Encodes the context of a span that is sampled. */
export function sampledTraceparent({ traceId, spanId }: Omit<TraceParent, 'isSampled'>): string {
  return `${VERSION}-${traceId}-${spanId}-01`;
}

/** W3C Trace Context §3.2.4: a later version may add fields behind the first four. */
function firstFieldsOf(traceparent: string): string {
  const hasMore = traceparent.length > TRACEPARENT_LENGTH && traceparent[TRACEPARENT_LENGTH] === '-';
  return hasMore && !traceparent.startsWith(`${VERSION}-`)
    ? traceparent.slice(0, TRACEPARENT_LENGTH)
    : traceparent;
}

function isTracestate(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TRACESTATE_MAX_LENGTH && TRACESTATE.test(value);
}
