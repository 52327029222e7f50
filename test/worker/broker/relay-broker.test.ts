import { expect } from 'chai';
import { GusherError } from '../../../src/shared/errors/catalogue.ts';
import { RelayBroker } from '../../../src/worker/broker/relay-broker.ts';
import { within } from '../../support/deadline.ts';

const ignore = (): void => undefined;

describe('RelayBroker', () => {
  it('rejects requests that the primary does not answer, and accepts its late answers', async () => {
    const pipe = { enqueue: ignore, enqueueFrame: ignore, flush: ignore };
    const broker = new RelayBroker({ pipe, isIdle: () => true });
    const listener = {
      ...{ deliver: ignore, control: ignore, statusChanged: ignore, subscriptionRejected: ignore },
    };
    const opening = broker.open(listener);
    broker.receive({ type: 'relaySubscribed' });
    await opening;
    const codeOf = (request: Promise<unknown>): Promise<string> =>
      request.then(
        () => 'answered',
        (error: unknown) => (error instanceof GusherError ? error.code : String(error)),
      );
    const publish = (): Promise<string> =>
      codeOf(broker.publish('a@c', { channel: 'c', event: 'e', data: '1' }));
    const requests = [publish(), codeOf(broker.subscribe('a@c')), codeOf(broker.cached('a@cache-c'))];
    expect(await within(Promise.all(requests), 'the rejections', 8_000)).to.deep.equal([
      'outcome_unknown',
      'broker_unavailable',
      'broker_unavailable',
    ]);
    // The measurement, the publication above, and this one.
    const later = publish();
    const subscribing = codeOf(broker.subscribe('a@d'));
    broker.receive({ type: 'relayReceived', count: 3 });
    broker.receive({ type: 'relaySubscribed' });
    broker.receive({ type: 'relaySubscribed' });
    expect([await later, await subscribing]).to.deep.equal(['answered', 'answered']);
    await broker.close();
  });
});
