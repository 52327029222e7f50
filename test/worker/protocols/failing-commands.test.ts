import { expect } from 'chai';
import { ERRORS } from '../../../src/shared/errors/catalogue.ts';
import { GusherProtocol } from '../../../src/worker/protocols/gusher/gusher-protocol.ts';
import { PusherProtocol } from '../../../src/worker/protocols/pusher/pusher-protocol.ts';
import { makeConnection } from '../../support/transport.ts';

/** Parts that fail in a way that no code expects, whatever is asked of them. */
function brokenParts(): never {
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
    const protocol = new GusherProtocol(brokenParts());
    const internal = { code: 'internal', message: ERRORS.internal.message };

    it('answers under the name of the command, with its ids and what it was about', () => {
      const answer = answerOf(
        protocol,
        '{"event":"gusher.subscribe","id":7,"data":{"id":"s","channel":"news"}}',
      );
      expect(answer).to.deep.include({ event: 'gusher.subscribe_error', id: 7 });
      expect(answer).to.have.deep.property('data', { id: 's', channel: 'news', ...internal });
    });

    it('answers a client event and what is no command with gusher.error', () => {
      for (const text of ['{"event":"client-x","channel":"c"}', 'x', '{"event":"gusher.nothing"}']) {
        expect(answerOf(protocol, text), text).to.deep.include({ event: 'gusher.error', data: internal });
      }
    });
  });
});

describe('PusherProtocol', () => {
  describe('#encodeFailure', () => {
    const protocol = new PusherProtocol(brokenParts());

    it('answers a subscription with a subscription_error of that channel', () => {
      const answer = answerOf(protocol, '{"event":"pusher:subscribe","data":{"channel":"news"}}');
      expect(answer).to.deep.include({ event: 'pusher:subscription_error', channel: 'news' });
      expect(answer).to.have.nested.include({ 'data.type': 'ServerError', 'data.status': 500 });
    });

    it('answers all else with pusher:error', () => {
      for (const text of ['{"event":"pusher:signin","data":{}}', '{"event":"client-x"}', 'x']) {
        expect(answerOf(protocol, text), text).to.have.property('event', 'pusher:error');
      }
    });
  });
});
