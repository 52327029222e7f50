import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseMessage } from '../../src/primary/presence/cluster/message.ts';
import { FileAppStore } from '../../src/shared/apps/file-app-store.ts';
import { encodeControlMessage, parseControlMessage } from '../../src/shared/model/control-message.ts';
import { envelopeText, parseEnvelope } from '../../src/shared/model/envelope.ts';
import { isAppKey, isChannelName, isEventName, isUserId } from '../../src/shared/model/names.ts';
import { parseBackpush } from '../../src/worker/broker/backpush.ts';
import { Api } from '../support/api.ts';
import { type Client, connectClient, expectError } from '../support/client.ts';
import { runInProcess } from '../support/command-line.ts';
import { HOSTILE_NAMES, hasLoneSurrogate, ODD_NAMES } from '../support/hostile-names.ts';
import { type HostileTarget, startHostileTarget } from '../support/hostile-target.ts';
import { PUSHER_APP, signedTarget } from '../support/pusher-app.ts';
import { connectPusher, type PusherClient, userAuth } from '../support/pusher-client.ts';
import { sendRaw } from '../support/raw-http.ts';
import { signPayload, signToken } from '../support/tokens.ts';

const REST = `/v1/apps/${PUSHER_APP.key}`;
const LEGACY_APP = PUSHER_APP.key;
const SIGNED = `/apps/${PUSHER_APP.id}`;

type Answer = readonly [status: number, code: string | undefined];

describe('Hostile names', () => {
  let gusher: HostileTarget['gusher'];
  let webhook: HostileTarget['webhook'];
  let keys: HostileTarget['keys'];
  let stop: HostileTarget['stop'];
  let native: Client;
  let pusher: PusherClient;
  const api = new Api(() => gusher.api);

  before(async () => {
    ({ gusher, webhook, keys, stop } = await startHostileTarget(() => ({ client_events: true }), {
      GUSHER_CLIENT_EVENTS_PER_SECOND: '100000',
    }));
    native = await connectClient(gusher.clientUrl(PUSHER_APP.key));
    pusher = await connectPusher(`${gusher.url}/app/${PUSHER_APP.key}?protocol=7`, PUSHER_APP);
    await pusher.subscribe('private-c');
  });

  after(async () => {
    native.socket.terminate();
    pusher.socket.terminate();
    await stop();
  });

  /** Names that a URL can contain; another test sends lone surrogates, which are not UTF-8. */
  const inUrls = HOSTILE_NAMES.filter(([, name]) => !hasLoneSurrogate(name));
  const enc = encodeURIComponent;

  async function rest(method: string, path: string, body?: object): Promise<Answer> {
    const { status, json } = await api.request(method, REST + path, body);
    return [status, json?.error?.code];
  }

  async function legacy(path: string, fields: Record<string, string>): Promise<Answer> {
    const { status, json } = await api.form(path, fields);
    return [status, json?.error?.code];
  }

  async function signed(method: string, path: string, body?: object, query = {}): Promise<Answer> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const target = signedTarget(method, SIGNED + path, text, { query });
    const { status, json } = await api.request(method, target, text === '' ? undefined : text);
    return [status, json?.code];
  }

  const inJson: Record<string, [code: string, send: (name: string) => Promise<Answer>]> = {
    'as the event of a message': ['bad_event', (event) => rest('POST', '/channels/c/messages', { event })],
    'as a channel in a batch': [
      'bad_channel',
      (channel) => rest('POST', '/messages/batch', [{ channel, event: 'e' }]),
    ],
    'as an event in a batch': [
      'bad_event',
      (event) => rest('POST', '/messages/batch', [{ channel: 'c', event }]),
    ],
    'as the event for a pattern': [
      'bad_event',
      (event) => rest('POST', '/messages', { channel_pattern: '.', event }),
    ],
    'as the event for a user': ['bad_event', (event) => rest('POST', '/users/u/messages', { event })],
    'as the event for a socket': ['bad_event', (event) => rest('POST', '/sockets/1.2/messages', { event })],
    'as a grant of a user': ['bad_channel', (channel) => rest('POST', '/users/u/channels', { channel })],
    'among the grants of a user': [
      'bad_body',
      (channel) => rest('PUT', '/users/u/channels', { channels: [channel] }),
    ],
    'as the name of a signed event': [
      'bad_event',
      (name) => signed('POST', '/events', { name, channel: 'c', data: '{}' }),
    ],
    'as the channel of a signed event': [
      'bad_pusher_channel',
      (channel) => signed('POST', '/events', { name: 'e', channel, data: '{}' }),
    ],
    'among the channels of a signed event': [
      'bad_pusher_channel',
      (channel) => signed('POST', '/events', { name: 'e', channels: ['c', channel], data: '{}' }),
    ],
    'as the user of a signed event': [
      'bad_pusher_channel',
      (name) => signed('POST', '/events', { name: 'e', channel: `#server-to-user-${name}`, data: '{}' }),
    ],
    'as a name in a signed batch': [
      'bad_event',
      (name) => signed('POST', '/batch_events', { batch: [{ name, channel: 'c', data: '{}' }] }),
    ],
    'as a user in a signed batch': [
      'bad_pusher_channel',
      (name) =>
        signed('POST', '/batch_events', {
          batch: [{ name: 'e', channel: `#server-to-user-${name}`, data: '{}' }],
        }),
    ],
  };

  for (const [where, [code, send]] of Object.entries(inJson)) {
    it(`are rejected ${where}`, async () => {
      for (const [why, name] of HOSTILE_NAMES) {
        const answer = await send(name);
        expect(answer, why).to.deep.equal([400, code]);
      }
    });
  }

  const inPaths: Record<string, [code: string, send: (encoded: string) => Promise<Answer>]> = {
    'as a channel': ['bad_channel', (name) => rest('POST', `/channels/${name}/messages`, { event: 'e' })],
    'as a channel whose users are listed': ['bad_channel', (name) => rest('GET', `/channels/${name}/users`)],
    'as a channel among others': ['bad_channel', (name) => rest('GET', `/users?channel=c,${name}`)],
    'as a prefix': ['bad_page', (name) => rest('GET', `/channels?prefix=${name}`)],
    'as a user': ['bad_user', (name) => rest('POST', `/users/${name}/messages`, { data: 1 })],
    'as a user with grants': ['bad_user', (name) => rest('PUT', `/users/${name}/channels`, { channels: [] })],
    'as a socket': ['bad_socket', (name) => rest('POST', `/sockets/${name}/messages`, { data: 1 })],
    'as a channel of v1.13': [
      'bad_channel',
      (name) => legacy(`/push/${LEGACY_APP}/${name}/e`, { data: '1' }),
    ],
    'as an event of v1.13': ['bad_event', (name) => legacy(`/push/${LEGACY_APP}/c/${name}`, { data: '1' })],
    'as a user of v1.13': ['bad_user', (name) => legacy(`/push/user/${LEGACY_APP}/${name}`, { data: '1' })],
    'as a socket of v1.13': [
      'bad_socket',
      (name) => legacy(`/push/socket/${LEGACY_APP}/${name}`, { data: '1' }),
    ],
    'as a signed user': ['bad_user', (name) => signed('POST', `/users/${name}/terminate_connections`)],
    'as a signed channel': ['bad_pusher_channel', (name) => signed('GET', `/channels/${name}`)],
    'as the signed channel of an event': [
      'bad_pusher_channel',
      (name) => signed('POST', `/channels/${name}/events`, { a: 1 }, { name: 'e' }),
    ],
    'as a signed channel whose users are listed': [
      'bad_pusher_channel',
      (name) => signed('GET', `/channels/presence-${name}/users`),
    ],
  };

  for (const [where, [code, send]] of Object.entries(inPaths)) {
    it(`are rejected in a path or query ${where}`, async () => {
      for (const [why, name] of inUrls) expect(await send(enc(name)), why).to.deep.equal([400, code]);
    });
  }

  it('are rejected as a signed prefix', async () => {
    for (const [why, name] of inUrls) {
      const answer = await signed('GET', '/channels', undefined, { filter_by_prefix: name });
      expect(answer, why).to.deep.equal([400, 'bad_pusher_channel']);
    }
  });

  it('are rejected as an app key', async () => {
    for (const [why, name] of [...inUrls, ...ODD_NAMES.map((odd) => [odd, odd] as const)]) {
      const { status, json } = await api.post(`/v1/apps/${enc(name)}/channels/c/messages`, { event: 'e' });
      expect([status, json?.error?.code], why).to.deep.equal([400, 'bad_app']);
      expect((await expectError(gusher.clientUrl(enc(name)))).code, why).to.equal('unknown_app');
    }
  });

  it('are rejected as bytes that are not UTF-8 in a path, a query and a form', async () => {
    const port = Number(new URL(gusher.api).port);
    const request = (line: string, body = ''): string =>
      `${line} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    for (const bytes of ['%ff', '%c3', '%ed%a0%80', '%f5%80%80%80', '%c0%8a']) {
      for (const text of [
        request(`POST ${REST}/channels/${bytes}/messages`, '{"event":"e"}'),
        request(`POST ${REST}/users/${bytes}/messages`, '{"data":1}'),
        request(`GET ${REST}/channels?prefix=${bytes}`),
        request(`GET ${REST}/users?channel=${bytes}`),
        request(`POST /push/${LEGACY_APP}/c/e`, `data=${bytes}`),
      ]) {
        expect((await sendRaw(port, text)).status, text).to.equal(400);
      }
      const rejected = await expectError(gusher.clientUrl(PUSHER_APP.key, `?auth=${bytes}`));
      expect(rejected, bytes).to.deep.equal({ status: 400, code: 'bad_request' });
    }
  });

  it('are rejected in commands of the native protocol, and the connection stays open', async () => {
    for (const [why, name] of HOSTILE_NAMES) {
      const commands = {
        'gusher.subscribe': { channel: name },
        'gusher.unsubscribe': { channel: name },
        'gusher.multi_subscribe': { multi_channel: ['c', name] },
      };
      for (const [event, data] of Object.entries(commands)) {
        const reply = await native.request(event, data);
        expect([reply.event, reply.data.code], why).to.deep.equal([`${event}_error`, 'bad_channel']);
      }
      expect((await native.request('client-e', 1, { channel: name })).data.code, why).to.equal('bad_channel');
      const code = (await native.request(`client-${name}`, 1, { channel: 'c' })).data.code;
      expect(code, why).to.equal('bad_client_event');
    }
  });

  it('are rejected in commands of the Pusher protocol, and the connection stays open', async () => {
    const { socketId } = pusher;
    for (const [why, name] of HOSTILE_NAMES) {
      for (const channel of [name, `private-${name}`, `#server-to-user-${name}`]) {
        pusher.sendSubscribe(channel);
        const { data } = await pusher.until('pusher:subscription_error', channel);
        expect(data.type, why).to.equal('InvalidChannel');
        pusher.send('pusher:unsubscribe', { channel });
        await pusher.until('pusher:error');
      }
      pusher.sendSubscribe('presence-c', JSON.stringify({ user_id: name }));
      await pusher.until('pusher:subscription_error', 'presence-c');
      pusher.send(`client-${name}`, 1, 'private-c');
      await pusher.until('pusher:error');
      pusher.send('client-e', 1, `private-${name}`);
      await pusher.until('pusher:error');
    }
    expect(pusher.socketId).to.equal(socketId);
    expect(pusher.socket.readyState).to.equal(pusher.socket.OPEN);
  });

  it('are rejected as the user of a sign-in', async () => {
    for (const [why, id] of HOSTILE_NAMES) {
      const client = await connectPusher(`${gusher.url}/app/${PUSHER_APP.key}?protocol=7`, PUSHER_APP);
      const userData = JSON.stringify({ id });
      const auth = userAuth(PUSHER_APP, client.socketId, userData);
      client.send('pusher:signin', { auth, user_data: userData });
      const { data } = await client.until('pusher:error');
      expect(data.message, why).to.include('user_data');
      client.socket.terminate();
    }
  });

  it('are rejected in an auth webhook response and in a token', async () => {
    for (const [why, name] of HOSTILE_NAMES) {
      for (const answer of [
        { user_id: name, channels: ['*'] },
        { user_id: 'u', channels: ['*', name] },
      ]) {
        webhook.answer = (response) => response.end(JSON.stringify(answer));
        const { code } = await expectError(gusher.clientUrl(PUSHER_APP.key, '?auth=x'));
        expect(code, why).to.equal('auth_unusable');
      }
      for (const claims of [
        { user_id: name, channels: ['*'] },
        { user_id: 'u', channels: [name] },
      ]) {
        const token = await signToken(keys.privateKey, { app_key: PUSHER_APP.key, ...claims });
        const { code } = await expectError(gusher.clientUrl(PUSHER_APP.key, `?token=${token}`));
        expect(code, why).to.equal('token_rejected');
      }
    }
  });

  it('are rejected in a token as bytes that are not UTF-8', async () => {
    for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80]]) {
      const claims = [`{"gusher":{"app_key":"${PUSHER_APP.key}","channels":["*"],"user_id":"`, bytes, '"}}'];
      const payload = Buffer.concat(claims.map((part) => Buffer.from(part as string)));
      const token = signPayload(keys.privateKey, payload);
      const { code } = await expectError(gusher.clientUrl(PUSHER_APP.key, `?token=${token}`));
      expect(code).to.equal('token_rejected');
    }
  });

  it('are rejected by the parsers of Redis messages', () => {
    for (const [why, name] of HOSTILE_NAMES) {
      const envelopes = [
        { channel: name, event: 'e', data: '1' },
        { channel: 'c', event: name, data: '1' },
        { channel: 'c', event: 'e', data: '1', except: name },
        { channel: 'c', event: 'e', data: '1', fromClient: true as const, userId: name },
      ];
      for (const envelope of envelopes)
        expect(parseEnvelope(envelopeText(envelope)), why).to.equal(undefined);
      for (const push of [
        { channel: name, data: 1 },
        { channel: 'c', event: name },
      ]) {
        expect(parseBackpush(JSON.stringify(push), 'shop'), why).to.equal(undefined);
      }
      const messages = [
        { kind: 'toUser', app: 'a', user: name, data: '1' },
        { kind: 'toSocket', app: 'a', socket: name, data: '1' },
        { kind: 'toUser', app: 'a', user: 'u', event: name, data: '1' },
        { kind: 'grants', app: 'a', user: name, mode: 'add', channels: ['c'] },
        { kind: 'grants', app: 'a', user: 'u', mode: 'add', channels: [name] },
        { kind: 'terminate', app: 'a', user: name },
        { kind: 'terminate', app: name, user: 'u' },
      ] as const;
      for (const message of messages) {
        expect(parseControlMessage(encodeControlMessage(message as never)), why).to.equal(undefined);
      }
    }
  });

  it('invalidate only their own record of a cluster message', () => {
    for (const [why, name] of HOSTILE_NAMES) {
      const good = ['a', 'c', 'u', 1];
      const records = [good, ['a', 'c', name, 1], ['a', name, 'u', 1], [name, 'c', 'u', 1]];
      const head = { kind: 'delta', host: 'h'.repeat(20), sequence: 1, complete: true, isVoter: true };
      const text = JSON.stringify({ ...head, records });
      const message = parseMessage(Buffer.from(text));
      expect(message?.records, why).to.deep.equal([{ app: 'a', channel: 'c', user: 'u', count: 1 }]);
    }
  });

  it('are rejected in the apps file and on the command line', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gusher-names-'));
    const path = join(folder, 'apps.json');
    try {
      const named = HOSTILE_NAMES.map(([, name]) => [name, { channels: ['*'] }] as const);
      const granting = HOSTILE_NAMES.map(([, name], index) => [`k${index}`, { channels: [name] }] as const);
      writeFileSync(path, JSON.stringify({ apps: Object.fromEntries([...named, ...granting]) }));
      expect(await new FileAppStore(path).list()).to.deep.equal([]);
      writeFileSync(path, Buffer.concat([Buffer.from('{"apps":{"a":{"channels":["'), Buffer.from([0xff])]));
      const error = await new FileAppStore(path).list().catch((reason: Error) => reason);
      expect((error as Error).message).to.include('is not UTF-8');
      for (const name of ['a\nb', 'x'.repeat(257)]) {
        const { code } = await runInProcess(['apps', 'add', name, '--channels', '*'], folder);
        expect(code).to.equal(2);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('do not include names that only look hostile', async () => {
    for (const name of ODD_NAMES) {
      expect([isChannelName(name), isEventName(name), isUserId(name)], name).to.deep.equal([
        true,
        true,
        true,
      ]);
      expect(isAppKey(name), name).to.equal(false);
      await native.subscribe(name);
      expect(
        await rest('POST', `/channels/${enc(name)}/messages`, { event: name, data: name }),
      ).to.deep.equal([200, undefined]);
      expect(await native.next()).to.deep.equal({ channel: name, event: name, data: name });
    }
  });
});
