import { expect } from 'chai';
import type { GusherError } from '../../../src/shared/errors/catalogue.ts';
import type { ToPrimary } from '../../../src/shared/ipc/messages.ts';
import { IdempotencyClient } from '../../../src/worker/ipc/idempotency-client.ts';
import { within } from '../../support/deadline.ts';

describe('IdempotencyClient', () => {
  it('rejects on timeout, and releases a key that the primary grants afterwards', async () => {
    const sent: ToPrimary[] = [];
    const client = new IdempotencyClient({ send: (message) => void sent.push(message), timeoutMs: 20 });
    const work = (): Promise<string> => Promise.reject(new Error('the work must not begin'));
    const outcome = client.once('key', 'fingerprint', work).catch((error: GusherError) => error.code);
    expect(await within(outcome, 'the end of the request')).to.equal('broker_busy');
    client.receive({ type: 'idempotencyResult', id: 1, result: { kind: 'acquired' } });
    expect(sent.map(({ type }) => type)).to.deep.equal(['idempotencyClaim', 'idempotencyCompleted']);
    expect(sent[1]).to.include({ key: 'key', answer: undefined });
  });
});
