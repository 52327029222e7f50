import { expect } from 'chai';
import { shownData } from '../../../src/shared/tail/hide-secrets.ts';
import { matchesTail, type TailBatch } from '../../../src/shared/tail/tail.ts';
import { Tap } from '../../../src/shared/tail/tap.ts';
import { within } from '../../support/deadline.ts';

describe('matchesTail', () => {
  it('compares app, channel and user', () => {
    const entry = { app: 'shop', channel: 'orders.1', user: 'ann' };
    expect(matchesTail({}, entry)).to.equal(true);
    expect(matchesTail({ app: 'shop', channel: 'orders.1', user: 'ann' }, entry)).to.equal(true);
    expect(matchesTail({ app: 'other' }, entry)).to.equal(false);
    expect(matchesTail({ user: 'bob' }, entry)).to.equal(false);
    expect(matchesTail({ channel: 'orders' }, entry)).to.equal(false);
    expect(matchesTail({ channel: 'orders' }, { app: 'shop' })).to.equal(false);
  });

  it('accepts any rest for a star at the end', () => {
    expect(matchesTail({ channel: 'orders*' }, { channel: 'orders.1' })).to.equal(true);
    expect(matchesTail({ channel: '*' }, {})).to.equal(false);
  });

  it('matches a delivery if the user is a subscriber', () => {
    const entry = { app: 'shop', channel: 'news' };
    expect(matchesTail({ user: 'ann' }, entry, (user) => user === 'ann')).to.equal(true);
    expect(matchesTail({ user: 'bob' }, entry, (user) => user === 'ann')).to.equal(false);
  });
});

describe('shownData', () => {
  const hidden: [data: string, shown: string][] = [
    ['{"token":"abc","n":1}', '{"token":"***","n":1}'],
    ['{"access_token" : "a\\"b","n":1}', '{"access_token" : "***","n":1}'],
    ['{"Password":123}', '{"Password":***}'],
    ['{"api-key":"x"}', '{"api-key":"***"}'],
    [JSON.stringify(JSON.stringify({ secret: 'a"b\\', n: 1 })), '"{\\"secret\\":\\"***\\",\\"n\\":1}"'],
    ['{"keyword":"abc"}', '{"keyword":"abc"}'],
    ['{"auth":"a:b","author":"ann"}', '{"auth":"***","author":"ann"}'],
    ['{"auth_signature":"00ff"}', '{"auth_signature":"***"}'],
    ['"http://x/?auth=abc&n=1&access_token=t#top"', '"http://x/?auth=***&n=1&access_token=***#top"'],
    ['"Authorization: Bearer abcdefgh.ijkl"', '"Authorization: Bearer ***"'],
  ];
  for (const [data, shown] of hidden) {
    it(`shows ${data} as ${shown}`, () => {
      expect(shownData(data, 100)).to.equal(shown);
    });
  }

  it('cuts data at a character, and hides a secret that the cut shortens', () => {
    expect(shownData('"äöü"', 4)).to.equal('"ä…');
    expect(shownData(`{"password":"${'x'.repeat(100)}"}`, 20)).to.equal('{"password":"***…');
    expect(shownData('"abc"', 0)).to.equal('…');
  });

  it('takes linear time', () => {
    for (const part of [
      '"token',
      '\\"token',
      '"token":"\\\\',
      '\\\\"',
      '"a"',
      '?auth',
      '&token=',
      'Bearer ',
    ]) {
      const started = performance.now();
      shownData(part.repeat(100_000), 1_000_000);
      expect(performance.now() - started, part).to.be.lessThan(2_000);
    }
  });
});

describe('Tap', () => {
  it('is closed without a tail', () => {
    const tap = new Tap({ source: {}, send: () => undefined });
    expect(tap.isOpen).to.equal(false);
    tap.follow([{ id: 1, filter: {}, dataMaxBytes: 10 }]);
    expect(tap.isOpen).to.equal(true);
    tap.follow([]);
    expect(tap.isOpen).to.equal(false);
  });

  it('sends the entries of each tail together, and counts those beyond the limit', async () => {
    const batches = await within(
      new Promise<TailBatch[]>((resolve) => {
        const tap = new Tap({ source: { worker: 3 }, send: resolve });
        tap.follow([
          { id: 1, filter: { app: 'shop' }, dataMaxBytes: 10 },
          { id: 2, filter: { app: 'other' }, dataMaxBytes: 0 },
        ]);
        for (let count = 0; count < 250; count += 1) {
          tap.record({ type: 'published', app: 'shop', channel: 'news', event: 'e', data: '{"n":1}' });
        }
        tap.record({ type: 'rejected', action: 'connect', code: 'unknown_app', app: 'other' });
      }),
      'the batches of a tap',
    );
    expect(batches.map(({ tail, lines, dropped }) => [tail, lines.length, dropped])).to.deep.equal([
      [1, 100, 150],
      [2, 1, 0],
    ]);
    const entry = JSON.parse(batches[0]?.lines[0] ?? '') as Record<string, unknown>;
    expect(entry).to.include({ type: 'published', worker: 3, app: 'shop', bytes: 7, data: '{"n":1}' });
  });
});
