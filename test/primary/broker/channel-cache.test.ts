import { expect } from 'chai';
import { ChannelCache } from '../../../src/primary/broker/channel-cache.ts';
import { CACHE_TTL_MS } from '../../../src/shared/model/publication.ts';

const MEBIBYTE = 1024 * 1024;
const publication = (data: string) => ({ channel: 'cache-c', event: 'e', data });

describe('the publications that the primary keeps', () => {
  it('are the last of each topic, for half an hour', () => {
    let now = 0;
    const cached = new ChannelCache({ now: () => now });
    cached.set('a@cache-c', publication('1'), 100);
    cached.set('a@cache-c', publication('2'), 100);
    now += 1_000;
    expect(cached.find('a@cache-c')).to.deep.equal({
      publication: publication('2'),
      ttlMs: CACHE_TTL_MS - 1_000,
    });
    expect(cached.find('b@cache-c')).to.equal(undefined);
    now = CACHE_TTL_MS;
    expect(cached.find('a@cache-c')).to.equal(undefined);
  });

  it('are bounded in number and in bytes; the one published to longest ago goes first', () => {
    const cached = new ChannelCache({ now: () => 0 });
    for (let n = 0; n < 70; n += 1) {
      cached.set(`a@cache-${n}`, publication(String(n)), MEBIBYTE);
      cached.set('a@cache-busy', publication('busy'), MEBIBYTE);
    }
    expect(cached.find('a@cache-0')).to.equal(undefined);
    expect(cached.find('a@cache-busy')).not.to.equal(undefined);
    expect(cached.find('a@cache-69')).not.to.equal(undefined);
    for (let n = 0; n < 100_001; n += 1) cached.set(`b@cache-${n}`, publication('1'), 1);
    expect(cached.find('b@cache-0')).to.equal(undefined);
    expect(cached.find('b@cache-100000')).not.to.equal(undefined);
  });
});
