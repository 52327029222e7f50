import { expect } from 'chai';
import { ChannelCache } from '../../../src/primary/broker/channel-cache.ts';
import { CACHE_TTL_MS } from '../../../src/shared/model/publication.ts';

const MEBIBYTE = 1024 * 1024;
const publication = (data: string) => ({ channel: 'cache-c', event: 'e', data });

describe('ChannelCache', () => {
  it('keeps the last publication of each topic for half an hour', () => {
    let now = 0;
    const cache = new ChannelCache({ now: () => now });
    cache.set('a@cache-c', publication('1'), 100);
    cache.set('a@cache-c', publication('2'), 100);
    now += 1_000;
    expect(cache.find('a@cache-c')).to.deep.equal({
      publication: publication('2'),
      ttlMs: CACHE_TTL_MS - 1_000,
    });
    expect(cache.find('b@cache-c')).to.equal(undefined);
    now = CACHE_TTL_MS;
    expect(cache.find('a@cache-c')).to.equal(undefined);
  });

  it('bounds channels and bytes, and drops the oldest publication first', () => {
    const cache = new ChannelCache({ now: () => 0 });
    for (let n = 0; n < 70; n += 1) {
      cache.set(`a@cache-${n}`, publication(String(n)), MEBIBYTE);
      cache.set('a@cache-busy', publication('busy'), MEBIBYTE);
    }
    expect(cache.find('a@cache-0')).to.equal(undefined);
    expect(cache.find('a@cache-busy')).not.to.equal(undefined);
    expect(cache.find('a@cache-69')).not.to.equal(undefined);
    for (let n = 0; n < 100_001; n += 1) cache.set(`b@cache-${n}`, publication('1'), 1);
    expect(cache.find('b@cache-0')).to.equal(undefined);
    expect(cache.find('b@cache-100000')).not.to.equal(undefined);
  });
});
