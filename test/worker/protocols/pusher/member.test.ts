import { expect } from 'chai';
import { PresenceQueryServer } from '../../../../src/primary/presence/query-server.ts';
import { PresenceRegistry } from '../../../../src/primary/presence/registry.ts';
import { memberIdOf, memberOf } from '../../../../src/worker/protocols/pusher/member.ts';
import { eventually } from '../../../support/deadline.ts';
import { PusherWorker, textsOf, WORKER_APP } from '../../../support/pusher-worker.ts';

describe('memberIdOf', () => {
  const ids: [json: string, id: string | undefined][] = [
    ['"ann"', 'ann'],
    ['"\\u00fc"', 'ü'],
    ['10', '10'],
    ['-7', '-7'],
    ['0', '0'],
    ['9007199254740992', '9007199254740992'],
    ['9007199254740993', '9007199254740993'],
    ['123456789012345678901234567890', '123456789012345678901234567890'],
    // All other numbers have the text that JavaScript clients read.
    ['-0', '0'],
    ['1.0', '1'],
    ['1.50', '1.5'],
    ['1e3', '1000'],
    ['1e999', undefined],
    ['""', undefined],
    ['null', undefined],
    ['true', undefined],
    ['{}', undefined],
    ['["1"]', undefined],
    [`"${'x'.repeat(128)}"`, 'x'.repeat(128)],
    [`"${'x'.repeat(129)}"`, undefined],
    ['1'.repeat(129), undefined],
  ];
  for (const [json, id] of ids) {
    it(`reads ${id?.slice(0, 40) ?? 'no id'} from ${json.slice(0, 40)}`, () => {
      expect(memberIdOf(json)).to.equal(id);
    });
  }

  it('ignores white space in channel_data, whose user_info keeps its text', () => {
    expect(memberOf(' { "user_id" : 9007199254740993 , "user_info" : {"n":1.0} } ', 100)).to.deep.equal({
      user: '9007199254740993',
      info: '{"n":1.0}',
    });
  });

  it('distinguishes integers beyond 2^53, as members and on watchlists', async () => {
    const presence = new PresenceRegistry();
    const worker = new PusherWorker(new PresenceQueryServer(presence), 'w1');
    try {
      const ids = ['9007199254740992', '9007199254740993'];
      for (const id of ids) await worker.subscribe(worker.connect().connection, 'presence-c', id);
      const users = presence.channel(WORKER_APP.key, 'presence-c')?.users.names({}) ?? [];
      expect([...users]).to.deep.equal(ids);
      const { connection, transport } = worker.connect();
      await worker.signIn(connection, `{"id":"u","watchlist":[${ids.join(', ')}, "ann", {}]}`);
      const received = (): string | undefined =>
        textsOf(transport).find((text) => text.includes('watchlist_events'));
      await eventually(() => received() !== undefined, 'the watchlist was received');
      expect(JSON.parse(JSON.parse(received() ?? '').data).events).to.deep.equal([
        { name: 'offline', user_ids: [...ids, 'ann'] },
      ]);
    } finally {
      worker.close();
    }
  });
});
