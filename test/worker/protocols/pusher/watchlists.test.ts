import { expect } from 'chai';
import { GusherError } from '../../../../src/shared/errors/catalogue.ts';
import type { Connection } from '../../../../src/worker/connection/connection.ts';
import type { QueryCallback } from '../../../../src/worker/ipc/presence-client.ts';
import { Watchlists } from '../../../../src/worker/protocols/pusher/presence/watchlists.ts';

describe('Watchlists', () => {
  const connection = (id: string): Connection => ({ id, appKey: 'shop' }) as unknown as Connection;

  it('queries a user again after the presence registry was busy', async () => {
    const answers: (number | GusherError)[] = [new GusherError('presence_busy'), 1];
    const received: string[] = [];
    const unwatched: unknown[] = [];
    const lists = new Watchlists({
      presence: {
        subscribe: (_query: unknown, callback: QueryCallback<never>) =>
          callback((answers.shift() ?? 0) as never),
        unsubscribe: (query) => void unwatched.push(query),
      },
      reply: ({ id }, text) => void received.push(`${id} ${text}`),
      hub: { reserveNames: () => undefined },
    });
    const [first, second] = [connection('first'), connection('second')];
    await lists.watch(first, ['ann']);
    await lists.watch(second, ['ann']);
    expect(received[1]).to.match(/^second .*online.*ann/);

    lists.remove(first);
    expect(unwatched, 'the second still watches').to.deep.equal([]);
    lists.handleEvent({ kind: 'offline', app: 'shop', user: 'ann' });
    expect(received[2]).to.match(/^second .*offline.*ann/);
    lists.remove(second);
    expect(unwatched).to.have.length(1);
  });

  it('watches as many users as the limits of names allow, and notifies the client', async () => {
    const received: string[] = [];
    let left = 25 * 420;
    const lists = new Watchlists({
      presence: {
        subscribe: (_query: unknown, take: QueryCallback<never>) => take(0 as never),
        unsubscribe: () => undefined,
      },
      reply: (_connection, text) => void received.push(text),
      hub: {
        reserveNames: (_app, bytes) => {
          if (bytes > left) throw new GusherError('names_full');
          left -= bytes;
          return undefined;
        },
      },
    });
    const users = Array.from({ length: 60 }, (_, index) => `u${index + 100}`);
    await lists.watch({ ...connection('first'), state: 'open' } as Connection, users);
    expect(received[0]).to.include('share of the channel and user names');
    expect(received[1]).to.include('u119').and.not.include('u120');
  });
});
