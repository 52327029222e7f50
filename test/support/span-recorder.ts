import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import {
  type Attributes,
  type AttributeValue,
  type Context,
  createTraceState,
  type Span,
  type SpanContext,
  type SpanOptions,
  type SpanStatus,
  TraceFlags,
  type Tracer,
  type TracerProvider,
  type TraceState,
  trace,
} from '@opentelemetry/api';

/**
 * A small OpenTelemetry SDK, loaded into gusher with `--import`. It samples as the parent span says, and root spans only with
 * SPANS_OF_ROOTS=1. It appends each ended span to the file SPANS_FILE, as one line of JSON.
 */

/** One ended span. */
export interface RecordedSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly tracestate?: string;
  readonly parentSpanId?: string;
  readonly isParentRemote?: boolean;
  readonly attributes: Attributes;
  readonly status?: SpanStatus;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly pid: number;
}

const { SPANS_FILE: file, SPANS_OF_ROOTS: samplesRoots } = process.env;

/** The name of the line that a flush appends. */
export const FLUSHED = 'flushed';

class RecordingSpan implements Span {
  readonly #context: SpanContext;
  readonly #facts: Pick<RecordedSpan, 'name' | 'kind' | 'parentSpanId' | 'isParentRemote'>;
  readonly #attributes: Attributes;
  readonly #startedAt = Date.now();
  #status: SpanStatus | undefined;

  constructor(name: string, options: SpanOptions, parent: SpanContext | undefined) {
    const isSampled =
      parent === undefined ? samplesRoots === '1' : (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
    this.#context = {
      traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
      spanId: randomBytes(8).toString('hex'),
      traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
      traceState: parent?.traceState ?? createTraceState(),
    };
    this.#attributes = { ...options.attributes };
    this.#facts = {
      name,
      kind: options.kind ?? 0,
      ...(parent !== undefined && { parentSpanId: parent.spanId, isParentRemote: parent.isRemote === true }),
    };
  }

  spanContext(): SpanContext {
    return this.#context;
  }

  setAttribute(key: string, value: AttributeValue): this {
    this.#attributes[key] = value;
    return this;
  }

  setAttributes(attributes: Attributes): this {
    Object.assign(this.#attributes, attributes);
    return this;
  }

  setStatus(status: SpanStatus): this {
    this.#status = status;
    return this;
  }

  addEvent(): this {
    return this;
  }

  updateName(): this {
    return this;
  }

  isRecording(): boolean {
    return (this.#context.traceFlags & TraceFlags.SAMPLED) !== 0;
  }

  recordException(): void {}

  end(): void {
    if (!this.isRecording()) return;
    const { traceId, spanId, traceState } = this.#context;
    append({
      ...this.#facts,
      traceId,
      spanId,
      tracestate: (traceState as TraceState).serialize(),
      attributes: this.#attributes,
      ...(this.#status !== undefined && { status: this.#status }),
      startedAt: this.#startedAt,
      endedAt: Date.now(),
      pid: process.pid,
    } satisfies RecordedSpan);
  }
}

function append(line: object): void {
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`);
}

export const recordingTracer: Tracer = {
  startSpan: (name: string, options: SpanOptions = {}, context?: Context) =>
    new RecordingSpan(name, options, context && trace.getSpanContext(context)),
  startActiveSpan: () => {
    throw new Error('not recorded');
  },
};

const provider: TracerProvider & { forceFlush(): Promise<void> } = {
  getTracer: () => recordingTracer,
  forceFlush: async () => append({ name: FLUSHED, pid: process.pid }),
};

if (file !== undefined) trace.setGlobalTracerProvider(provider);
