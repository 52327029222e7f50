import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { FileAppStore } from '../../src/shared/apps/file-app-store.ts';
import { RedisAppStore } from '../../src/shared/apps/redis-app-store.ts';
import { Api, type ApiAnswer } from '../support/api.ts';
import { connectClient, expectError } from '../support/client.ts';
import { runInProcess } from '../support/command-line.ts';
import { HOSTILE_NAMES, hasLoneSurrogate, ODD_NAMES, SPECIAL_NAMES } from '../support/hostile-names.ts';
import { type HostileTarget, startHostileTarget } from '../support/hostile-target.ts';
import { PUSHER_APP, signedTarget } from '../support/pusher-app.ts';
import { connectPusher, type PusherClient } from '../support/pusher-client.ts';
import { sendRaw } from '../support/raw-http.ts';
import { RedisServer } from '../support/redis-server.ts';
import { signPayload, signToken } from '../support/tokens.ts';

const { key: APP, id: ID } = PUSHER_APP;
const PROGRAM = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));
const enc = encodeURIComponent;
/** An argument of a process ends at NUL, and a comma separates names. */
const AS_ARGUMENTS = HOSTILE_NAMES.filter(([, name]) => !name.includes('\0'));
const IN_URLS = HOSTILE_NAMES.filter(([, name]) => !hasLoneSurrogate(name));

describe('Hostile texts in fields that are no channel, event or user', () => {
  let gusher: HostileTarget['gusher'];
  let webhook: HostileTarget['webhook'];
  let keys: HostileTarget['keys'];
  let stop: HostileTarget['stop'];
  let folder: string;
  const api = new Api(() => gusher.api);

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-fields-'));
    ({ gusher, webhook, keys, stop } = await startHostileTarget((url) => ({ remote_url: url })));
  });

  after(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function connectPusherClient(): Promise<PusherClient> {
    return connectPusher(`${gusher.url}/app/${APP}?protocol=7`, PUSHER_APP);
  }

  function codeOf({ status, json }: ApiAnswer): [status: number, code: string | undefined] {
    return [status, json?.error?.code ?? json?.code];
  }

  async function signed(method: string, path: string, body = '', query = {}): Promise<ApiAnswer> {
    const target = signedTarget(method, `/apps/${ID}${path}`, body, { query });
    return api.request(method, target, body === '' ? undefined : body);
  }

  describe('as the name of a remote', () => {
    it('are rejected in an auth webhook response and in a token', async () => {
      for (const [why, name] of [...HOSTILE_NAMES, ['an empty name', '']] as const) {
        const remotes = { [name]: true };
        webhook.answer = (response) => response.end(JSON.stringify({ channels: ['*'], remotes }));
        expect(await expectError(gusher.clientUrl(APP, '?auth=x')), why).to.deep.equal({
          status: 502,
          code: 'auth_unusable',
        });
        const token = await signToken(keys.privateKey, { app_key: APP, channels: ['*'], remotes });
        const { code } = await expectError(gusher.clientUrl(APP, `?token=${token}`));
        expect(code, why).to.equal('token_rejected');
      }
    });

    it('are granted if they only look hostile', async () => {
      const names = [...ODD_NAMES, ...SPECIAL_NAMES];
      const remotes = `{${names.map((name) => `${JSON.stringify(name)}:true`).join(',')}}`;
      webhook.answer = (response) => response.end(`{"channels":["*"],"remotes":${remotes}}`);
      const client = await connectClient(gusher.clientUrl(APP, '?auth=x'));
      for (const remote of names) {
        const reply = await client.request('gusher.remote', { remote, uid: 'u', payload: 1 });
        expect([reply.event, reply.data], remote).to.deep.equal([
          'gusher.remote_succeeded',
          { remote, msg: null },
        ]);
      }
      await client.close();
    });

    it('are not granted to a client that asks for them', async () => {
      const client = await connectClient(gusher.clientUrl(APP));
      for (const remote of [...HOSTILE_NAMES.map(([, name]) => name), ...SPECIAL_NAMES, '']) {
        const { data } = await client.request('gusher.remote', { remote, uid: 'u', payload: 1 });
        expect(data.code, remote).to.equal('remote_not_granted');
      }
      await client.close();
    });
  });

  it('are channels, events and users if they are only special to JavaScript', async () => {
    for (const name of SPECIAL_NAMES) {
      webhook.answer = (response) => response.end(`{"user_id":"${name}","channels":["${name}"]}`);
      const client = await connectClient(gusher.clientUrl(APP, '?auth=x'));
      await client.subscribe(name);
      await api.post(`/v1/apps/${APP}/messages/batch`, [{ channel: name, event: name, data: name }]);
      expect(await client.next()).to.deep.equal({ channel: name, event: name, data: name });
      for (const path of ['channels', 'users', `channels/${name}/users`, `users?channel=${name}`]) {
        expect((await api.get(`/v1/apps/${APP}/${path}`)).json, path).to.deep.equal([name]);
      }
      await api.post(`/v1/apps/${APP}/users/${name}/messages`, { event: name, data: 1 });
      expect(await client.next()).to.deep.equal({ event: name, data: 1 });
      await client.close();
    }
  });

  describe('as numbers in place of a user id', () => {
    const digits = ['9007199254740992', '9007199254740993', '-12345678901234567890'];

    it('keep their digits in an auth webhook response and in a token', async () => {
      for (const user of digits) {
        webhook.answer = (response) => response.end(`{"user_id":${user},"channels":["*"]}`);
        const token = signPayload(
          keys.privateKey,
          `{"gusher":{"app_key":"${APP}","channels":["*"],"user_id":${user}}}`,
        );
        for (const query of ['?auth=x', `?token=${token}`]) {
          const client = await connectClient(gusher.clientUrl(APP, query));
          expect((await api.get(`/v1/apps/${APP}/users`)).json).to.deep.equal([user]);
          await client.close();
        }
      }
    });

    it('are rejected if they are no user id', async () => {
      for (const user of ['1e999', '-1e999', '[]', '{}', 'true', '["a"]', '9'.repeat(257)]) {
        webhook.answer = (response) => response.end(`{"user_id":${user},"channels":["*"]}`);
        expect((await expectError(gusher.clientUrl(APP, '?auth=x'))).code).to.equal('auth_unusable');
        const token = signPayload(
          keys.privateKey,
          `{"gusher":{"app_key":"${APP}","channels":["*"],"user_id":${user}}}`,
        );
        const { code } = await expectError(gusher.clientUrl(APP, `?token=${token}`));
        expect(code, user).to.equal('token_rejected');
      }
    });
  });

  it('are ignored in a watchlist, which keeps its other users', async () => {
    const client = await connectPusherClient();
    const watchlist = [...HOSTILE_NAMES.map(([, name]) => name), '', ...SPECIAL_NAMES, null, {}, 'bob'];
    await client.signIn({ id: 'watcher', watchlist });
    const { events } = await client.expectData('pusher_internal:watchlist_events');
    expect(events).to.deep.equal([{ name: 'offline', user_ids: [...SPECIAL_NAMES, 'bob'] }]);
    await client.close();
  });

  it('are rejected as the user of a presence channel, whose length is 1 to 128', async () => {
    const client = await connectPusherClient();
    const ids = [...HOSTILE_NAMES.map(([, name]) => name), '', 'x'.repeat(129), null, true, [], {}];
    for (const user_id of ids) {
      client.sendSubscribe('presence-c', JSON.stringify({ user_id }));
      const { data } = await client.until('pusher:subscription_error', 'presence-c');
      expect(data.status, JSON.stringify(user_id)).to.equal(401);
    }
    await client.close();
  });

  it('are members of a presence channel if they only look hostile', async () => {
    const odd = ODD_NAMES.filter((name) => name.length <= 128);
    const names = [...odd, ...SPECIAL_NAMES, 'x'.repeat(128)];
    const channel = 'presence-__proto__';
    const clients: PusherClient[] = [];
    for (const user_id of names) {
      const client = await connectPusherClient();
      clients.push(client);
      const { presence } = await client.subscribe(channel, { user_id, user_info: { user_id } });
      expect(Object.hasOwn(presence.hash, user_id), user_id).to.equal(true);
      expect(presence.hash[user_id], user_id).to.deep.equal({ user_id });
      expect(presence.count).to.equal(clients.length);
    }
    const users = (await signed('GET', `/channels/${channel}/users`)).json.users;
    expect(users.map(({ id }: { id: string }) => id)).to.deep.equal(names.toSorted(byCodeUnits));
    const { channels } = (await signed('GET', '/channels', '', { filter_by_prefix: 'presence-__' })).json;
    expect(channels).to.deep.equal({ [channel]: {} });
    for (const client of clients) client.socket.terminate();
  });

  it('are rejected as a socket id, and ignored as attributes, of a signed event', async () => {
    for (const [why, name] of [...HOSTILE_NAMES, ['no dot', '12'], ['21 digits', `1.${'2'.repeat(21)}`]]) {
      const event = { name: 'e', channel: 'c', data: '{}' };
      const refused = await signed('POST', '/events', JSON.stringify({ ...event, socket_id: name }));
      expect(codeOf(refused), why).to.deep.equal([400, 'bad_pusher_socket']);
      const accepted = await signed('POST', '/events', JSON.stringify({ ...event, info: name }));
      expect([accepted.status, accepted.text], why).to.deep.equal([200, '{}']);
    }
    for (const info of [1, {}, []]) {
      const body = JSON.stringify({ name: 'e', channel: 'c', data: '{}', info });
      expect(codeOf(await signed('POST', '/events', body))).to.deep.equal([400, 'bad_pusher_event']);
    }
  });

  it('are rejected as cache channels', async () => {
    for (const [why, name] of [
      ...IN_URLS,
      ['a BOM', '\ufeff'],
      ['bidi', 'a\u202eb'],
      ['201', 'x'.repeat(195)],
    ]) {
      for (const prefix of ['cache-', 'private-cache-', 'presence-cache-', 'private-encrypted-cache-']) {
        const answer = await signed('GET', `/channels/${enc(`${prefix}${name}`)}`, '', { info: 'cache' });
        expect(codeOf(answer), why).to.deep.equal([400, 'bad_pusher_channel']);
      }
    }
    const longest = `cache-${'x'.repeat(194)}`;
    expect((await signed('GET', `/channels/${longest}`, '', { info: 'cache' })).json.cache).to.equal(null);
  });

  it('are rejected as a cursor, a limit and a prefix', async () => {
    const cursors = [
      ...IN_URLS.map(([, name]) => Buffer.from(name).toString('base64url')),
      ...[[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x8a]].map((b) => Buffer.from(b).toString('base64url')),
      ...['', '*', 'a b', '\u2028', 'x'.repeat(2_049), 'x'.repeat(2_048)],
    ];
    for (const path of ['channels', 'users', 'channels/c/users', 'users?channel=c', 'users?channel=c,d']) {
      const page = `/v1/apps/${APP}/${path}${path.includes('?') ? '&' : '?'}`;
      for (const cursor of cursors) {
        expect(codeOf(await api.get(`${page}cursor=${enc(cursor)}`)), cursor).to.deep.equal([
          400,
          'bad_page',
        ]);
      }
      for (const limit of ['', '0', '-1', '10001', '1e3', '0x10', '1.0', ' 1', '٣', '1000000']) {
        expect(codeOf(await api.get(`${page}limit=${enc(limit)}`)), limit).to.deep.equal([400, 'bad_page']);
      }
    }
  });

  it('are rejected as the channel whose users are listed, however the parameter is encoded', async () => {
    for (const name of ['channel', '%63hannel', 'chann%65l', '%63%68%61%6e%6e%65%6c']) {
      for (const value of ['', ',', 'a,', '%0a', '%80']) {
        const { status, json } = await api.get(`/v1/apps/${APP}/users?${name}=${value}`);
        expect([status, json.error?.code], `${name}=${value}`).to.be.deep.oneOf([
          [400, 'bad_channel'],
          [400, 'bad_request'],
        ]);
      }
      expect((await api.get(`/v1/apps/${APP}/users?${name}=channel-without-users`)).json).to.deep.equal([]);
    }
  });

  it('are rejected as an Idempotency-Key, whose length is 1 to 255', async () => {
    const port = Number(new URL(gusher.api).port);
    const statusFor = async (key: string): Promise<number> => {
      const body = '{"event":"e"}';
      const head = `POST /v1/apps/${APP}/channels/c/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n`;
      const fields = `Content-Length: ${body.length}\r\nIdempotency-Key:${key}\r\n\r\n`;
      return (await sendRaw(port, head + fields + body)).status;
    };
    for (const key of ['', ' ', '\t', 'é', '日', '\ufeff', 'a\tb', 'a\u0080', 'a\u007f', 'x'.repeat(256)]) {
      expect(await statusFor(key), JSON.stringify(key)).to.equal(400);
    }
    for (const key of ['x', 'x'.repeat(255), '__proto__', '"', '\\u0000', 'a b']) {
      expect(await statusFor(key), key).to.equal(200);
    }
  });

  describe('in the record of an app', () => {
    it('are rejected as its key, by every route', async () => {
      const names = [
        ...IN_URLS,
        ['129 characters', 'x'.repeat(129)],
        ['BOM', '\ufeffa'],
        ['bidi', 'a\u202eb'],
      ];
      for (const [why, name = ''] of names) {
        const path = `/v1/admin/apps/${enc(name)}`;
        const fields = { channels: ['*'] };
        for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
          const hasBody = method === 'PUT' || method === 'PATCH';
          const answer = await api.request(method, path, hasBody ? fields : undefined);
          expect(codeOf(answer), `${method} ${why}`).to.deep.equal([400, 'bad_app']);
        }
      }
    });

    it('are rejected as its fields', async () => {
      const put = (text: string) => api.request('PUT', '/v1/admin/apps/field', text);
      const texts = HOSTILE_NAMES.flatMap(([, name]) => [
        { channels: [name] },
        { channels: ['*'], id: name },
        { channels: ['*'], origins: [name] },
        { channels: ['*'], [name]: 1 },
        { channels: ['*'], webhook_events: [name] },
      ]).map((fields) => JSON.stringify(fields));
      const special = SPECIAL_NAMES.map((name) => `{"channels":["*"],"${name}":{"enabled":false}}`);
      const secrets = ['x\ud800', '', 'x'.repeat(257)].map((secret) =>
        JSON.stringify({ channels: ['*'], secret }),
      );
      const ids = ['9007199254740993', '1e300', '1.5'].map((id) => `{"channels":["*"],"id":${id}}`);
      for (const text of [...texts, ...special, ...secrets, ...ids, '[]', 'null', '"x"', '\ufeff{}']) {
        expect(codeOf(await put(text)), text).to.deep.equal([400, 'bad_app_fields']);
      }
      expect(codeOf(await api.get('/v1/admin/apps/field'))).to.deep.equal([404, 'no_such_app']);
    });

    it('are accepted as its key if they only look hostile', async () => {
      for (const key of ['__proto__', 'constructor', '...', '~', '-', '_', 'x'.repeat(128)]) {
        const path = `/v1/admin/apps/${key}`;
        expect((await api.request('PUT', path, { channels: ['*'] })).status, key).to.equal(201);
        expect((await api.get(path)).json, key).to.deep.equal({ key, enabled: true, channels: ['*'] });
        await (await connectClient(gusher.clientUrl(key))).close();
        expect((await api.request('DELETE', path)).status, key).to.equal(204);
      }
    });

    it('are skipped in the apps file, and the other apps stay', async () => {
      const path = join(folder, 'apps.json');
      const entries = [
        ...HOSTILE_NAMES.map(([, name]) => [name, '{"channels":["*"]}']),
        ...['.', '..', ''].map((name) => [name, '{"channels":["*"]}']),
        ['number', '{"id":9007199254740993,"secret":"x"}'],
        ['secret', '{"id":"1","secret":"\\ud800"}'],
        ['__proto__', '{"channels":["*"]}'],
      ];
      const text = entries.map(([name, fields]) => `${JSON.stringify(name)}:${fields}`).join(',');
      writeFileSync(path, `{"apps":{${text}}}`);
      const store = new FileAppStore(path);
      expect((await store.list()).map(({ key }) => key)).to.deep.equal(['__proto__']);
      await store.save('constructor', { channels: ['*'] });
      expect((await store.list()).map(({ key }) => key)).to.deep.equal(['__proto__', 'constructor']);
    });

    it('are skipped in Redis, and the other apps stay', async () => {
      const redis = await RedisServer.start();
      const client = new Redis(redis.url);
      const store = new RedisAppStore({ url: redis.url, prefix: '' });
      try {
        for (const [, name] of HOSTILE_NAMES) await client.hset(name, 'channels', '*');
        for (const name of ['.', '..', '@', 'a@b']) await client.hset(name, 'channels', '*');
        for (const [index, bytes] of [[0xff], [0xc0, 0x8a], [0xed, 0xa0, 0x80]].entries()) {
          await client.hset(`bytes${index}`, 'channels', Buffer.from(bytes));
          await client.hset(Buffer.from(bytes), 'channels', '*');
        }
        await client.hset('good', 'channels', '*');
        expect((await store.list()).map(({ key }) => key)).to.deep.equal(['good']);
      } finally {
        await store.close();
        client.disconnect();
        await redis.stop();
      }
    });
  });

  describe('on the command line', () => {
    it('are rejected by gusher token', async () => {
      const token = (...words: string[]) =>
        runInProcess(['token', '--private-key', 'none.pem', ...words], folder);
      const options = ['--user', '--channels', '--remotes', '--app'];
      // The options are the same code for each name, so each name goes to one of them.
      for (const [index, [why, name]] of AS_ARGUMENTS.filter(([, text]) => text.trim() === text).entries()) {
        const option = options[index % options.length] ?? '';
        expect((await token(option, name)).code, `${option} ${why}`).to.equal(2);
      }
      for (const option of options.slice(1)) expect((await token(option, 'a\ud800')).code).to.equal(2);
    });

    it('are rejected as arguments that are not UTF-8', async () => {
      const script = `exec "$0" "${PROGRAM}" publish "$(printf 'a\\377')" e`;
      const child = spawn('sh', ['-c', script, process.execPath], { stdio: ['ignore', 'ignore', 'pipe'] });
      const errors = await textOf(child.stderr);
      expect(errors).to.include('an argument is not UTF-8');
    });

    it('are escaped in the output', async () => {
      const env = { GUSHER_API_LISTEN: new URL(gusher.api).host };
      const words = ['publish', '--app', APP, 'c', 'e', '"\u009b31m\u007f\u2028"'];
      const { output } = await runInProcess(words, folder, env);
      expect(output).to.equal('{"channel":"c","event":"e","data":"\\u009b31m\\u007f\u2028"}\n');
    });

    it('are rejected by gusher publish', async () => {
      for (const [why, name] of AS_ARGUMENTS) {
        for (const words of [
          [name, 'e'],
          ['c', name],
        ]) {
          const { code, errors } = await runInProcess(['publish', ...words], folder);
          expect([code, errors[0]?.includes('must have 1 to 256 characters')], why).to.deep.equal([2, true]);
        }
      }
    });
  });
});

function byCodeUnits(one: string, other: string): number {
  return one < other ? -1 : 1;
}
