import { expect } from 'chai';
import { envelopeText, parseEnvelope } from '../../../src/shared/model/envelope.ts';
import { envelopeOf, type Publication } from '../../../src/shared/model/publication.ts';
import { parseTraceparent, traceContextOf } from '../../../src/shared/tracing/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const VALID = `00-${TRACE}-${SPAN}-01`;

describe('Trace context', () => {
  it('has the ids and the sampled flag of its traceparent', () => {
    expect(parseTraceparent(VALID)).to.deep.equal({ traceId: TRACE, spanId: SPAN, isSampled: true });
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-02`)?.isSampled).to.equal(false);
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-ff`)?.isSampled).to.equal(true);
  });

  it('ignores the fields that a later version adds', () => {
    expect(traceContextOf(`cc-${TRACE}-${SPAN}-01-new-fields`)).to.deep.equal({
      traceparent: `cc-${TRACE}-${SPAN}-01`,
    });
    expect(traceContextOf(`cc-${TRACE}-${SPAN}-01x`)).to.equal(undefined);
    expect(traceContextOf(`${VALID}-new`)).to.equal(undefined);
  });

  it('drops an invalid tracestate', () => {
    expect(traceContextOf(VALID, 'a=1, b=2')?.tracestate).to.equal('a=1, b=2');
    for (const tracestate of ['', 'a=\n', 'a=é', `a=${'x'.repeat(511)}`, ['a=1'], undefined]) {
      expect(traceContextOf(VALID, tracestate)).to.deep.equal({ traceparent: VALID });
    }
  });

  for (const invalid of [
    undefined,
    [VALID],
    ` ${VALID}`,
    VALID.toUpperCase(),
    VALID.slice(1),
    `0g${VALID.slice(2)}`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `${VALID}\n`,
  ]) {
    it(`does not exist for the traceparent ${JSON.stringify(invalid)}`, () => {
      expect(traceContextOf(invalid)).to.equal(undefined);
    });
  }

  it('travels in the envelope of Redis, and is not in that of clients', () => {
    const plain: Publication = { channel: 'c', event: 'e', data: '1' };
    const traced: Publication = {
      ...plain,
      trace: { traceparent: VALID, tracestate: 'a=1' },
      id: 'x'.repeat(22),
    };
    expect(parseEnvelope(envelopeText(traced))).to.deep.equal(traced);
    expect(envelopeOf(traced)).to.equal(envelopeOf(plain));
  });
});
