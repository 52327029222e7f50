import { expect } from 'chai';
import { ERRORS } from '../../../../src/shared/errors/catalogue.ts';
import * as messages from '../../../../src/worker/protocols/pusher/messages.ts';

/** Every message of the server. A new one needs a line here. */
const MADE: Readonly<Record<string, () => string>> = {
  PONG: () => messages.PONG,
  publicationText: () => messages.publicationText({ channel: 'c', event: 'e', data: '1' }),
  messageText: () => messages.messageText('e', '1'),
  channelMessageText: () => messages.channelMessageText('e', 'c', '1'),
  establishedText: () => messages.establishedText('1.1', 120),
  errorText: () => messages.errorText(ERRORS.internal),
  closingErrorText: () => messages.closingErrorText(ERRORS.terminated, 4009),
  subscriptionSucceededText: () => messages.subscriptionSucceededText('c'),
  subscriptionErrorText: () => messages.subscriptionErrorText('c', 'AuthError', ERRORS.bad_channel_auth),
  memberAddedText: () => messages.memberAddedText('c', { user: 'u' }),
  memberRemovedText: () => messages.memberRemovedText('c', 'u'),
  subscriptionCountText: () => messages.subscriptionCountText('c', 1),
  cacheMissText: () => messages.cacheMissText('c'),
  signinSuccessText: () => messages.signinSuccessText('{}'),
  watchlistText: () => messages.watchlistText(['u'], []),
};

describe('each message to a Pusher client', () => {
  it('is covered by this test', () => {
    const names = Object.keys(messages).filter((name) => name !== 'presenceJson');
    expect(Object.keys(MADE).sort()).to.deep.equal(names.sort());
  });

  for (const [name, make] of Object.entries(MADE)) {
    it(`has an event and data; a string contains JSON (${name})`, () => {
      const { event, data } = JSON.parse(make()) as { event: unknown; data: unknown };
      expect(event).to.be.a('string');
      expect(data).not.to.equal(undefined);
      if (typeof data === 'string') JSON.parse(data);
    });
  }
});
