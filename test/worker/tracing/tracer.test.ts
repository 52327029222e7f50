import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Context,
  type ContextManager,
  context,
  ROOT_CONTEXT,
  type Tracer as SdkTracer,
  trace,
} from '@opentelemetry/api';
import { expect } from 'chai';
import { GusherError } from '../../../src/shared/errors/catalogue.ts';
import { Tracer } from '../../../src/worker/tracing/tracer.ts';
import { silentLog } from '../../support/silent-log.ts';
import { recordingTracer } from '../../support/span-recorder.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const HEADERS = { traceparent: `00-${TRACE}-b7ad6b7169203331-01` };
const ACTIVE = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 };

describe('Tracer', () => {
  let errors: unknown[];
  let tracer: Tracer;
  let sdk: SdkTracer;

  before(() => {
    trace.setGlobalTracerProvider({ getTracer: () => sdk });
    context.setGlobalContextManager(contextManager());
  });

  beforeEach(async () => {
    errors = [];
    sdk = recordingTracer;
    tracer = new Tracer({ slot: 1, unexpected: { report: (error) => errors.push(error) }, log: silentLog() });
    await tracer.open();
  });

  afterEach(() => {
    expect(errors).to.have.length(sdk === recordingTracer ? 0 : 1);
  });

  after(() => {
    trace.disable();
    context.disable();
  });

  it('prefers the active span of an instrumentation to the header', () => {
    const active = trace.setSpanContext(ROOT_CONTEXT, ACTIVE);
    const inside = context.with(active, () => tracer.startPublish(HEADERS, {}));
    expect(inside?.nextTrace()?.traceparent).to.include(ACTIVE.traceId);
    expect(tracer.startPublish(HEADERS, {})?.nextTrace()?.traceparent).to.include(TRACE);
  });

  it('limits the traced publications of a request', () => {
    const span = tracer.startPublish(HEADERS, {});
    const traces = Array.from({ length: 150 }, () => span?.nextTrace());
    expect(traces.filter((one) => one !== undefined)).to.have.length(100);
    expect(traces[100]).to.equal(undefined);
  });

  it('starts no write span for an invalid or unsampled context', () => {
    const publication = { channel: 'c', event: 'e', data: '1' };
    const facts = { app: 'a', subscribers: 1, groups: 1 };
    for (const traceparent of ['', HEADERS.traceparent.replace(/01$/, '00'), 'x'.repeat(1_000)]) {
      const traced = { ...publication, trace: { traceparent } };
      expect(tracer.startWrite({ ...facts, publication: traced })).to.equal(undefined);
    }
    expect(tracer.startWrite({ ...facts, publication })).to.equal(undefined);
    const traced = { ...publication, trace: HEADERS };
    expect(tracer.startWrite({ ...facts, publication: traced })).not.to.equal(undefined);
    expect(tracer.startWrite({ ...facts, groups: 0, publication: traced })).to.equal(undefined);
  });

  it('reports an SDK that throws when a span starts', () => {
    sdk = { ...recordingTracer, startSpan: fail };
    expect(tracer.startPublish(HEADERS, {})).to.equal(undefined);
  });

  it('reports an SDK that throws when a span ends', () => {
    sdk = {
      ...recordingTracer,
      startSpan: (...args) => Object.assign(recordingTracer.startSpan(...args), { end: fail }),
    };
    tracer.startPublish(HEADERS, {})?.end(200, new GusherError('bad_body'));
  });

  it('waits for the export of an SDK no longer than it may', async () => {
    trace.disable();
    const never = new Promise<void>(() => undefined);
    const results = [() => never, () => Promise.reject(new Error('no collector')), fail];
    for (const forceFlush of results) {
      trace.setGlobalTracerProvider(Object.assign({ getTracer: () => sdk }, { forceFlush }));
      await tracer.flush(20);
      trace.disable();
    }
  });
});

function fail(): never {
  throw new Error('defect of the SDK');
}

function contextManager(): ContextManager {
  const storage = new AsyncLocalStorage<Context>();
  return {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, work, self, ...args) => storage.run(active, () => work.call(self as never, ...args)),
    bind: (_active, target) => target,
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  };
}
