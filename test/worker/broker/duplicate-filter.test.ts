import { expect } from 'chai';
import { DuplicateFilter } from '../../../src/worker/broker/duplicate-filter.ts';

describe('DuplicateFilter', () => {
  let now = 0;
  const filter = (): DuplicateFilter => new DuplicateFilter(() => now);

  it('passes a publication with an id once per topic', () => {
    const one = filter();
    const seen = [
      one.isFirst('a@c', 'x'),
      one.isFirst('a@c', 'x'),
      one.isFirst('b@c', 'x'),
      one.isFirst('a@c', 'y'),
    ];
    expect(seen).to.deep.equal([true, false, true, true]);
  });

  it('passes every publication without an id', () => {
    const one = filter();
    expect([one.isFirst('a@c', undefined), one.isFirst('a@c', undefined)]).to.deep.equal([true, true]);
  });

  it('forgets an id after five minutes', () => {
    const one = filter();
    one.isFirst('a@c', 'x');
    now += 299_999;
    expect(one.isFirst('a@c', 'x')).to.equal(false);
    now += 1;
    expect(one.isFirst('a@c', 'x')).to.equal(true);
  });

  it('remembers the latest 100,000 ids', () => {
    const one = filter();
    for (let n = 0; n <= 100_000; n += 1) one.isFirst('a@c', String(n));
    expect([one.isFirst('a@c', '1'), one.isFirst('a@c', '100000'), one.isFirst('a@c', '0')]).to.deep.equal([
      false,
      false,
      true,
    ]);
  });
});
