import { expect } from 'chai';
import { Api, type ApiAnswer, expectRejected } from '../support/api.ts';
import { connectClient, expectError } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { RedisServer } from '../support/redis-server.ts';

const TOKEN = 'a-token-for-backends-and-operators';
const APPS = '/v1/admin/apps';

function administration(name: string, redisUrl: () => string | undefined): void {
  describe(`apps API, stored in ${name}`, () => {
    let gusher: RunningGusher;
    const api = new Api(() => gusher.api, TOKEN);

    before(async () => {
      const url = redisUrl();
      gusher = await startGusher({
        workers: 2,
        ...(url !== undefined && { redisUrl: url }),
        env: { GUSHER_API_TOKEN: TOKEN },
      });
    });
    after(() => gusher.stop());

    const put = (key: string, fields: unknown): Promise<ApiAnswer> =>
      api.request('PUT', `${APPS}/${key}`, fields);
    const patch = (key: string, fields: unknown): Promise<ApiAnswer> =>
      api.request('PATCH', `${APPS}/${key}`, fields);

    it('requires the token, also on loopback', async () => {
      const unauthorized = new Api(() => gusher.api);
      expectRejected(await unauthorized.get(APPS), 401, 'unauthorized');
      expectRejected(await unauthorized.request('PUT', `${APPS}/x`, { channels: [] }), 401, 'unauthorized');
    });

    it('creates, reads, updates, replaces and deletes an app', async () => {
      const made = await put('shop', { channels: ['a'], secret: 'hush' });
      expect([made.status, made.json]).to.deep.equal([
        201,
        { key: 'shop', enabled: true, channels: ['a'], secret: '***' },
      ]);
      expect((await patch('shop', { client_events: true })).json.client_events).to.equal(true);
      const shown = await api.get(`${APPS}/shop`);
      expect(shown.json).to.deep.equal({
        key: 'shop',
        enabled: true,
        channels: ['a'],
        secret: '***',
        client_events: true,
      });
      const { key, ...same } = shown.json;
      expect((await put('shop', same)).json).to.deep.equal(shown.json);
      const replaced = await put('shop', { channels: ['b'] });
      expect([replaced.status, replaced.json]).to.deep.equal([
        200,
        { key: 'shop', enabled: true, channels: ['b'] },
      ]);
      expect((await api.get(APPS)).json).to.deep.equal([replaced.json]);
      expect((await api.request('DELETE', `${APPS}/shop`)).status).to.equal(204);
      expectRejected(await api.get(`${APPS}/shop`), 404, 'no_such_app');
      expectRejected(await api.request('DELETE', `${APPS}/shop`), 404, 'no_such_app');
      expectRejected(await patch('shop', { enabled: true }), 404, 'no_such_app');
    });

    it('applies a change in every worker within a second', async () => {
      const outcomes = async (): Promise<string[]> =>
        Promise.all(
          Array.from({ length: 6 }, () =>
            connectClient(gusher.clientUrl('fresh')).then(
              async (client) => {
                await client.close();
                return 'in';
              },
              () => 'out',
            ),
          ),
        );
      const becomes = async (state: string): Promise<void> => {
        const started = performance.now();
        await eventually(
          async () => (await outcomes()).every((outcome) => outcome === state),
          `all are ${state}`,
        );
        // One second, plus the time of six handshakes on a busy machine.
        expect(performance.now() - started).to.be.lessThan(15_000);
      };
      expect((await expectError(gusher.clientUrl('fresh'))).code).to.equal('unknown_app');
      await put('fresh', { channels: ['*'] });
      await becomes('in');
      await patch('fresh', { enabled: false });
      await becomes('out');
      await patch('fresh', { enabled: null });
      await becomes('in');
      await api.request('DELETE', `${APPS}/fresh`);
      await becomes('out');
    });

    it('keeps all apps that several workers write at the same time', async () => {
      const names = Array.from({ length: 12 }, (_, n) => `many-${n}`);
      await Promise.all(names.map((name) => put(name, { channels: [name] })));
      const keys = (await api.get(APPS)).json.map((app: { key: string }) => app.key);
      expect(keys).to.include.members(names);
    });

    it('rejects invalid fields and names them', async () => {
      const invalid: [fields: unknown, named: string][] = [
        [{ colour: 'red', url: 'https://h/' }, 'colour'],
        [{ url: 'ftp://h/' }, 'url'],
        [{ channels: 'a', enabled: 'yes' }, 'channels, enabled'],
        [{ jwt_public_key: 'x' }, 'jwt_public_key'],
        [[], 'fields'],
        [7, 'fields'],
        ['{"channels":', 'fields'],
      ];
      for (const [fields, named] of invalid) {
        const answer = await put('bad', fields as Parameters<typeof put>[1]);
        expectRejected(answer, 400, 'bad_app_fields');
        expect(answer.json.error.message).to.match(new RegExp(` Invalid: "${named}"\\.$`));
      }
      expectRejected(await put('bad', {}), 400, 'app_without_auth_method');
      await put('first', { id: '77', secret: 'a-secret-of-one' });
      expectRejected(await put('second', { id: '77', secret: 'a-secret-of-two' }), 409, 'app_id_taken');
      expect((await patch('first', { id: '77' })).status).to.equal(200);
      expectRejected(await put('bad', { client_events: true }), 400, 'app_without_auth_method');
      expectRejected(await put('a%20b', { channels: [] }), 400, 'bad_app');
      await put('good', { channels: ['a'] });
      expectRejected(await patch('good', { channels: null }), 400, 'app_without_auth_method');
      expectRejected(await api.get(`${APPS}/bad`), 404, 'no_such_app');
    });
  });
}

administration('the apps file', () => undefined);

describe('apps API with a real Redis', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await RedisServer.start();
  });
  after(() => redis.stop());

  administration('Redis', () => redis.url);
});
