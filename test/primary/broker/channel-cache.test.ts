import { expect } from 'chai';
import { KeptPublications } from '../../../src/primary/broker/channel-cache.ts';
import { KEPT_MS } from '../../../src/shared/model/publication.ts';

const MEBIBYTE = 1024 * 1024;
const publication = (data: string) => ({ channel: 'cache-c', event: 'e', data });

describe('the publications that the primary keeps', () => {
  it('are the last of each topic, for half an hour', () => {
    let now = 0;
    const kept = new KeptPublications({ now: () => now });
    kept.keep('a@cache-c', publication('1'), 100);
    kept.keep('a@cache-c', publication('2'), 100);
    now += 1_000;
    expect(kept.find('a@cache-c')).to.deep.equal({ publication: publication('2'), ttlMs: KEPT_MS - 1_000 });
    expect(kept.find('b@cache-c')).to.equal(undefined);
    now = KEPT_MS;
    expect(kept.find('a@cache-c')).to.equal(undefined);
  });

  it('are bounded in number and in bytes; the one published to longest ago goes first', () => {
    const kept = new KeptPublications({ now: () => 0 });
    for (let n = 0; n < 70; n += 1) {
      kept.keep(`a@cache-${n}`, publication(String(n)), MEBIBYTE);
      kept.keep('a@cache-busy', publication('busy'), MEBIBYTE);
    }
    expect(kept.find('a@cache-0')).to.equal(undefined);
    expect(kept.find('a@cache-busy')).not.to.equal(undefined);
    expect(kept.find('a@cache-69')).not.to.equal(undefined);
    for (let n = 0; n < 100_001; n += 1) kept.keep(`b@cache-${n}`, publication('1'), 1);
    expect(kept.find('b@cache-0')).to.equal(undefined);
    expect(kept.find('b@cache-100000')).not.to.equal(undefined);
  });
});
