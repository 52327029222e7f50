import { expect } from 'chai';
import { ERRORS } from '../../../src/shared/errors/catalogue.ts';
import { GusherProtocol } from '../../../src/worker/protocols/gusher/gusher-protocol.ts';
import { PusherProtocol } from '../../../src/worker/protocols/pusher/pusher-protocol.ts';
import { makeConnection } from '../../support/transport.ts';

/** Dependencies that throw an unexpected error at every call. */
function brokenDependencies(): never {
  return new Proxy(
    {},
    {
      get: () => () => {
        throw new TypeError('a defect');
      },
    },
  ) as never;
}

function answerOf(protocol: GusherProtocol | PusherProtocol, text: string): unknown {
  const { connection } = makeConnection(protocol);
  return JSON.parse(protocol.encodeFailure(connection, Buffer.from(text), false));
}

describe('GusherProtocol', () => {
  describe('#encodeFailure', () => {
    const protocol = new GusherProtocol(brokenDependencies());
    const internal = { code: 'internal', message: ERRORS.internal.message };

    it('answers with the error reply of the command, its ids and its subject', () => {
      const answer = answerOf(
        protocol,
        '{"event":"gusher.subscribe","id":7,"data":{"id":"s","channel":"news"}}',
      );
      expect(answer).to.deep.include({ event: 'gusher.subscribe_error', id: 7 });
      expect(answer).to.have.deep.property('data', { id: 's', channel: 'news', ...internal });
    });

    it('answers a client event and an unknown command with gusher.error', () => {
      for (const text of ['{"event":"client-x","channel":"c"}', 'x', '{"event":"gusher.nothing"}']) {
        expect(answerOf(protocol, text), text).to.deep.include({ event: 'gusher.error', data: internal });
      }
    });
  });
});

describe('PusherProtocol', () => {
  describe('#encodeFailure', () => {
    const protocol = new PusherProtocol(brokenDependencies());

    it('answers a subscription with a subscription_error of its channel', () => {
      const answer = answerOf(protocol, '{"event":"pusher:subscribe","data":{"channel":"news"}}');
      expect(answer).to.deep.include({ event: 'pusher:subscription_error', channel: 'news' });
      expect(answer).to.have.nested.include({ 'data.type': 'ServerError', 'data.status': 500 });
    });

    it('answers all other messages with pusher:error', () => {
      for (const text of ['{"event":"pusher:signin","data":{}}', '{"event":"client-x"}', 'x']) {
        expect(answerOf(protocol, text), text).to.have.property('event', 'pusher:error');
      }
    });
  });
});
