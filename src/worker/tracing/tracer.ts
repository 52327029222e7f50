import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Attributes, Context, Span, SpanOptions } from '@opentelemetry/api';
import { ERRORS, type ErrorEntry, GusherError } from '../../shared/errors/catalogue.ts';
import { errorStatus } from '../../shared/errors/http-error.ts';
import type { Logger } from '../../shared/logging/log.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import { isAppKey, isChannelName } from '../../shared/model/names.ts';
import type { Publication } from '../../shared/model/publication.ts';
import {
  parseTraceparent,
  sampledTraceparent,
  type TraceContext,
  traceContextOf,
} from '../../shared/tracing/trace-context.ts';
import { version } from '../../shared/version.ts';

/** Attack: a batch of 10,000 messages, each of which would make a span here and in every worker of every host. */
const TRACED_PER_REQUEST_MAX = 100;
const SERVER_ERROR = 500;
/** W3C Trace Context §3.2.2.5. */
const SAMPLED = 0x01;

type Api = typeof import('@opentelemetry/api');

/** The span of a request that publishes. */
export interface PublishSpan {
  /** Returns the context for the next publication of the request; `undefined` if that one is not traced. */
  nextTrace(): TraceContext | undefined;
  /** Ends the span with the status of a successful response, or with the error. */
  end(status: number, error?: unknown): void;
}

/** The span of a publication on its way to the broker. */
export interface BrokerSpan {
  /** Travels with the publication; `undefined` if the span is not sampled. */
  readonly trace: TraceContext | undefined;
  end(error?: unknown): void;
}

/** The span of a publication in one worker. */
export interface WriteSpan {
  /** A group of subscribers was written to; the span ends with the last one. */
  endGroup(): void;
}

/** The facts of a write span. */
export interface WriteFacts {
  readonly app: string;
  readonly publication: Publication;
  readonly subscribers: number;
  readonly groups: number;
}

/**
 * Starts spans through the OpenTelemetry API. The operator loads an SDK, which samples and exports them. An error of the SDK
 * is reported, and never fails a publication. Without tracing, no tracer exists and the API is not imported.
 */
export class Tracer {
  readonly #slot: number;
  readonly #unexpected: Pick<UnexpectedErrors, 'report'>;
  readonly #log: Logger;
  /** `undefined` until `open`. */
  #api: Api | undefined;

  constructor(options: { slot: number; unexpected: Pick<UnexpectedErrors, 'report'>; log: Logger }) {
    this.#slot = options.slot;
    this.#unexpected = options.unexpected;
    this.#log = options.log;
  }

  /** Imports the API. Warns if no SDK has registered a provider. */
  async open(): Promise<void> {
    this.#api = await import('@opentelemetry/api');
    const { ProxyTracerProvider } = this.#api;
    if (this.#provider() === new ProxyTracerProvider().getDelegate()) {
      this.#log.warn({ event: 'tracing_without_sdk' }, 'tracing enabled without an OpenTelemetry SDK');
    }
  }

  /**
   * Starts `gusher publish`. Its parent is the active span of an HTTP instrumentation, otherwise the `traceparent` of the
   * request. `app` and `channel` may be invalid.
   */
  startPublish(
    headers: IncomingHttpHeaders,
    { app, channel }: { readonly app?: string | undefined; readonly channel?: string | undefined },
  ): PublishSpan | undefined {
    return this.#attempt((api) => {
      const attributes = {
        ...(app !== undefined && isAppKey(app) && { 'gusher.app': app }),
        ...(channel !== undefined && isChannelName(channel) && { 'messaging.destination.name': channel }),
      };
      const parent = this.#parentOf(api, headers);
      const span = this.#start(api, 'gusher publish', { kind: api.SpanKind.SERVER, attributes }, parent);
      const trace = traceOf(span);
      let left = trace === undefined ? 0 : TRACED_PER_REQUEST_MAX;
      return {
        nextTrace: () => {
          if (left === 0) return undefined;
          left -= 1;
          return trace;
        },
        end: (status, error) => this.#endPublish(span, status, error),
      };
    });
  }

  /** Starts `gusher broker` for a publication or another message with the context of its request. */
  startBroker(app: string, trace: TraceContext, publication?: Publication): BrokerSpan | undefined {
    return this.#attempt((api) => {
      const parent = parentContext(api, trace, { isRemote: false });
      const attributes = attributesOf(app, publication);
      const span = this.#start(api, 'gusher broker', { kind: api.SpanKind.PRODUCER, attributes }, parent);
      return { trace: traceOf(span), end: (error) => this.#end(span, error) };
    });
  }

  /** Starts `gusher write` if the publication carries a valid context of a sampled trace. */
  startWrite({ app, publication, subscribers, groups }: WriteFacts): WriteSpan | undefined {
    const { trace } = publication;
    if (trace === undefined || groups === 0) return undefined;
    return this.#attempt((api) => {
      if (parseTraceparent(trace.traceparent)?.isSampled !== true) return undefined;
      const parent = parentContext(api, trace, { isRemote: true });
      const attributes = { ...attributesOf(app, publication), 'gusher.subscribers': subscribers };
      const span = this.#start(api, 'gusher write', { kind: api.SpanKind.CONSUMER, attributes }, parent);
      let groupsLeft = groups;
      return {
        endGroup: () => {
          groupsLeft -= 1;
          if (groupsLeft === 0) this.#end(span);
        },
      };
    });
  }

  /** Asks the SDK to export what it has collected. Resolves after `timeoutMs` at the latest, and never rejects. */
  async flush(timeoutMs: number): Promise<void> {
    const provider = this.#provider() as { forceFlush?: () => Promise<void> } | undefined;
    if (provider?.forceFlush === undefined) return;
    // The SDK reports failed exports itself.
    const flushed = (async () => provider.forceFlush?.())().catch(() => undefined);
    await Promise.race([flushed, pause(timeoutMs, undefined, { ref: false })]);
  }

  /** The provider that the SDK registered, behind the proxy of the API. */
  #provider(): unknown {
    const provider: unknown = this.#api?.trace.getTracerProvider();
    const proxy = provider as { getDelegate?: () => unknown } | undefined;
    return proxy?.getDelegate === undefined ? provider : proxy.getDelegate();
  }

  #parentOf(api: Api, { traceparent, tracestate }: IncomingHttpHeaders): Context {
    const active = api.context.active();
    if (api.trace.getSpan(active) !== undefined) return active;
    const received = traceContextOf(traceparent, tracestate);
    if (received === undefined) return active;
    return parentContext(api, received, { isRemote: true });
  }

  #start(api: Api, name: string, options: SpanOptions, parent: Context): Span {
    const attributes = { 'messaging.system': 'gusher', 'gusher.worker': this.#slot, ...options.attributes };
    return api.trace.getTracer('gusher', version).startSpan(name, { ...options, attributes }, parent);
  }

  #endPublish(span: Span, status: number, error: unknown): void {
    this.#attempt((api) => {
      const failed = error === undefined ? status : errorStatus(entryOf(error));
      span.setAttribute('http.response.status_code', failed);
      this.#finish(api, span, error, failed >= SERVER_ERROR);
    });
  }

  #end(span: Span, error?: unknown): void {
    this.#attempt((api) => this.#finish(api, span, error, error !== undefined));
  }

  #finish(api: Api, span: Span, error: unknown, isFailed: boolean): void {
    if (error !== undefined) span.setAttribute('error.type', entryOf(error).code);
    if (isFailed) span.setStatus({ code: api.SpanStatusCode.ERROR });
    span.end();
  }

  #attempt<Result>(work: (api: Api) => Result | undefined): Result | undefined {
    if (this.#api === undefined) return undefined;
    try {
      return work(this.#api);
    } catch (error) {
      this.#unexpected.report(error, 'tracing');
      return undefined;
    }
  }
}

function attributesOf(app: string, publication: Publication | undefined): Attributes {
  if (publication === undefined) return { 'gusher.app': app };
  const { channel, event } = publication;
  return { 'gusher.app': app, 'gusher.event': event, 'messaging.destination.name': channel };
}

/** Any other error is a defect, which clients receive as `internal`. */
function entryOf(error: unknown): ErrorEntry {
  return error instanceof GusherError ? error.entry : ERRORS.internal;
}

/** Returns the context of a sampled span; `undefined` for any other one, such as the one of an API without an SDK. */
function traceOf(span: Span): TraceContext | undefined {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const isSampled = (traceFlags & SAMPLED) !== 0;
  return isSampled
    ? traceContextOf(sampledTraceparent({ traceId, spanId }), traceState?.serialize())
    : undefined;
}

/** Returns a context that is the parent of a span. */
function parentContext(
  api: Api,
  { traceparent, tracestate }: TraceContext,
  { isRemote }: { readonly isRemote: boolean },
): Context {
  const parent = parseTraceparent(traceparent);
  if (parent === undefined) return api.ROOT_CONTEXT;
  const { traceId, spanId, isSampled } = parent;
  return api.trace.setSpanContext(api.ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: isSampled ? SAMPLED : 0,
    isRemote,
    ...(tracestate !== undefined && { traceState: api.createTraceState(tracestate) }),
  });
}
