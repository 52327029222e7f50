import { expect } from 'chai';
import type { ToPrimary } from '../../../src/shared/ipc/messages.ts';
import { MetricsClient } from '../../../src/worker/metrics/metrics-client.ts';
import { within } from '../../support/deadline.ts';

describe('MetricsClient', () => {
  it('queries the primary once for many scrapes of one format', async () => {
    const sent: ToPrimary[] = [];
    const client = new MetricsClient({ send: (message) => sent.push(message) });
    const texts = Array.from({ length: 100 }, () => client.text('text'));
    const open = client.text('openmetrics');
    expect(sent).to.deep.equal([
      { type: 'metricsQuery', id: 1, format: 'text' },
      { type: 'metricsQuery', id: 2, format: 'openmetrics' },
    ]);
    client.receive({ type: 'metrics', id: 2, text: 'open' });
    client.receive({ type: 'metrics', id: 1, text: 'plain' });
    expect(new Set(await within(Promise.all(texts), 'the texts'))).to.deep.equal(new Set(['plain']));
    expect(await within(open, 'the text')).to.equal('open');
  });

  it('rejects if the primary does not answer in time', async () => {
    const client = new MetricsClient({ send: () => undefined, timeoutMs: 5 });
    const error: unknown = await client.text('text').catch((reason: unknown) => reason);
    expect(error).to.have.property('code', 'metrics_unavailable');
    client.receive({ type: 'metrics', id: 1, text: 'late' });
  });
});
