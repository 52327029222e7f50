import { expect } from 'chai';
import {
  isAppKey,
  isChannelName,
  isEventName,
  parseTopic,
  topicOf,
} from '../../../src/shared/model/names.ts';

describe('a topic', () => {
  it('names one channel of one app, and is taken apart again', () => {
    for (const channel of ['news', 'a@b', '@', 'ü/日本 c', 'x'.repeat(256)]) {
      expect(parseTopic(topicOf('demo', channel))).to.deep.equal({ appKey: 'demo', channel });
    }
  });

  it('is none without an app key before the first @, or without a channel name after it', () => {
    const wrong = ['', 'demo', '@news', 'demo@', 'de mo@news', 'demo@a\nb', `${'k'.repeat(129)}@news`];
    expect(wrong.filter((text) => parseTopic(text) !== undefined)).to.deep.equal([]);
  });
});

describe('an app key', () => {
  it('is 1 to 128 characters of a plain alphabet', () => {
    const right = ['a', 'A-1_b.c~d', '0', 'k'.repeat(128)];
    const wrong = ['', 'a b', 'a:b', 'a@b', 'a/b', 'ü', 'a\n', 'k'.repeat(129), 'gusher:backpush'];
    expect(right.filter((text) => !isAppKey(text))).to.deep.equal([]);
    expect(wrong.filter(isAppKey)).to.deep.equal([]);
  });
});

describe('the name of a channel or an event', () => {
  it('is 1 to 256 characters that can be printed', () => {
    const right = ['a', ' ', 'a b', 'ü', '日本', '😀', 'x'.repeat(256)];
    const wrong = ['', 'a\n', '\0', 'a\x7f', '\u0085', '\ud800', 'x'.repeat(257)];
    for (const isName of [isChannelName, isEventName]) {
      expect(right.filter((text) => !isName(text))).to.deep.equal([]);
      expect(wrong.filter(isName)).to.deep.equal([]);
    }
  });
});
