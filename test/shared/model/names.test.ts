import { expect } from 'chai';
import { channelOf, isAppKey, isChannelName, isEventName, topicOf } from '../../../src/shared/model/names.ts';

describe('topicOf', () => {
  it('joins app key and channel so that channelOf returns the channel', () => {
    for (const channel of ['news', 'a@b', '@', 'ü/日本 c', 'x'.repeat(256)]) {
      expect(topicOf('demo', channel)).to.equal(`demo@${channel}`);
      expect(channelOf(topicOf('demo', channel))).to.equal(channel);
    }
  });
});

describe('isAppKey', () => {
  it('accepts 1 to 128 characters of the alphabet', () => {
    const right = ['a', 'A-1_b.c~d', '0', 'k'.repeat(128)];
    const wrong = ['', 'a b', 'a:b', 'a@b', 'a/b', 'ü', 'a\n', 'k'.repeat(129), 'gusher:backpush'];
    expect(right.filter((text) => !isAppKey(text))).to.deep.equal([]);
    expect(wrong.filter(isAppKey)).to.deep.equal([]);
  });
});

describe('isChannelName and isEventName', () => {
  it('accept 1 to 256 printable characters', () => {
    const right = ['a', ' ', 'a b', 'ü', '日本', '😀', 'x'.repeat(256)];
    const wrong = ['', 'a\n', '\0', 'a\x7f', '\u0085', '\ud800', 'x'.repeat(257)];
    for (const isName of [isChannelName, isEventName]) {
      expect(right.filter((text) => !isName(text))).to.deep.equal([]);
      expect(wrong.filter(isName)).to.deep.equal([]);
    }
  });
});
