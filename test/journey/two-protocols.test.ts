import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { loadGusherJs } from '../support/gusher-js.ts';
import { AppsFile, PUSHER_APP, pusherSdk } from '../support/pusher-app.ts';
import { connectPusher, type PusherClient } from '../support/pusher-client.ts';
import { eventOf, optionsFor, PusherJs, present, subscribed } from '../support/pusher-js.ts';
import { WebhookServer } from '../support/webhook-server.ts';

const { key } = PUSHER_APP;
const ROOM = 'presence-room';

/** Both protocols in one app, on four workers. */
describe('Both protocols in one app', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;
  let webhook: WebhookServer;
  const open: (() => void)[] = [];

  before(async () => {
    webhook = await WebhookServer.start();
    // The auth webhook accepts a native client as the user that it names.
    webhook.answer = (response, { body }) => {
      const user = new URLSearchParams(body).get('auth');
      response.end(JSON.stringify({ user_id: user, channels: ['*'] }));
    };
    apps = new AppsFile({ url: webhook.url, client_events: true });
    gusher = await startGusher({ workers: 4, env: { GUSHER_APPS_FILE: apps.path } });
  });

  afterEach(() => {
    for (const leave of open.splice(0)) leave();
  });

  after(async () => {
    await gusher.stop();
    webhook.stop();
    apps.remove();
  });

  async function native(user: string): Promise<Client> {
    const client = await connectClient(gusher.clientUrl(key, `?auth=${user}`));
    open.push(() => client.socket.terminate());
    return client;
  }

  async function pusher(): Promise<PusherClient> {
    const client = await connectPusher(`${gusher.url}/app/${key}`, PUSHER_APP);
    open.push(() => client.socket.terminate());
    return client;
  }

  async function pusherJs(user: string): Promise<PusherJs> {
    const client = new PusherJs(key, optionsFor({ url: gusher.url, ...PUSHER_APP }, { id: user }));
    open.push(() => client.disconnect());
    await eventually(() => client.connection.state === 'connected', 'pusher-js is connected');
    return client;
  }

  it('delivers publications of a Pusher SDK to gusher-js, and of the REST API to pusher-js', async () => {
    const { create, unload } = loadGusherJs();
    try {
      const client = create(key, { url: gusher.clientUrl(key, '?auth=ann'), token: '' });
      client.bind('error', () => undefined);
      const channel = client.subscribe('news');
      const ready = eventOf(client, 'gusher.multi_subscribe_succeeded');
      client.connect();
      await ready;
      const theirs = await subscribed((await pusherJs('bob')).subscribe('news'));

      const received = [eventOf(channel, 'from-sdk'), eventOf(theirs, 'from-sdk')];
      await pusherSdk(gusher.url).trigger('news', 'from-sdk', { text: 'ü', n: [1] });
      for (const data of await Promise.all(received)) expect(data).to.deep.equal({ text: 'ü', n: [1] });

      const back = [eventOf(channel, 'from-rest'), eventOf(theirs, 'from-rest')];
      await gusher.publish('news', 'from-rest', { text: 'ü', n: [2] }, key);
      for (const data of await Promise.all(back)) expect(data).to.deep.equal({ text: 'ü', n: [2] });
      const closed = eventOf(client, 'closed');
      client.disconnect();
      await closed;
    } finally {
      unload();
    }
  });

  it('sends data in the format of each protocol: JSON to native clients, a JSON string to Pusher clients', async () => {
    const [one, other] = [await native('ann'), await pusher()];
    await one.subscribe('forms');
    await other.subscribe('forms');
    await gusher.publish('forms', 'rest', { n: 1.5, s: 'é' }, key);
    expect(await one.nextText()).to.equal('{"channel":"forms","event":"rest","data":{"n":1.5,"s":"é"}}');
    expect((await other.next()).data).to.equal('{"n":1.5,"s":"é"}');
    const sdk = pusherSdk(gusher.url);
    await sdk.trigger('forms', 'text', 'just text');
    expect((await one.next()).data).to.equal('just text');
    expect((await other.next()).data).to.equal('just text');
  });

  it('shares presence channels and client events between the protocols', async () => {
    const theirs = await pusherJs('pia');
    const channel = await present(theirs, ROOM);
    const added = eventOf(channel, 'pusher:member_added');
    const ann = await native('ann');
    await ann.subscribe(ROOM);
    expect((await added).id).to.equal('ann');
    expect(Object.keys(channel.members.members).sort()).to.deep.equal(['ann', 'pia']);
    const { status, body } = await usersOf(ROOM);
    expect([status, body]).to.deep.equal([200, { users: [{ id: 'ann' }, { id: 'pia' }] }]);

    channel.trigger('client-hi', { from: 'pia' });
    expect(await ann.next()).to.deep.equal({ channel: ROOM, event: 'client-hi', data: { from: 'pia' } });
    const received = new Promise((resolve) => {
      channel.bind('client-back', (data: unknown, more: unknown) => resolve([data, more]));
    });
    ann.send('client-back', { from: 'ann' }, { channel: ROOM });
    expect(await within(received, 'the answer')).to.deep.equal([{ from: 'ann' }, { user_id: 'ann' }]);

    const removed = eventOf(channel, 'pusher:member_removed');
    await ann.close();
    expect((await removed).id).to.equal('ann');
  });

  it('reports each disconnected user exactly once when a worker is killed, and no other', async () => {
    const room = 'presence-fatal';
    const clients = new Map<string, PusherClient | Client>();
    for (let n = 0; n < 8; n += 1) {
      const client = await pusher();
      await client.subscribe(room, { user_id: `p${n}` });
      clients.set(`p${n}`, client);
    }
    for (let n = 0; n < 4; n += 1) {
      const client = await native(`n${n}`);
      await client.subscribe(room);
      clients.set(`n${n}`, client);
    }
    // A second connection of the user, perhaps on the killed worker: the user stays.
    const tab = await pusher();
    await tab.subscribe(room, { user_id: 'p0' });

    const [victim] = gusher.workerPids as [number];
    process.kill(victim, 'SIGKILL');
    await gusher.logged('worker_exited');
    const isOpen = ({ socket }: PusherClient | Client): boolean => socket.readyState === socket.OPEN;
    await eventually(
      () => [...clients.values(), tab].some((client) => !isOpen(client)),
      'some some clients are disconnected',
    );
    await pusherSdk(gusher.url).trigger(room, 'after', {});

    const users = [...clients.keys()];
    const isPresent = (user: string): boolean =>
      isOpen(clients.get(user) as Client) || (user === 'p0' && isOpen(tab));
    const survivors = [...clients.values(), tab].filter(
      (client): client is PusherClient => isOpen(client) && 'texts' in client,
    );
    const disconnected = (): string[] => users.filter((user) => !isPresent(user)).sort();
    for (const survivor of survivors) {
      await eventually(() => removedIn(survivor).length >= disconnected().length, 'the leaves are reported');
      await survivor.settle();
      expect(removedIn(survivor).sort()).to.deep.equal(disconnected());
    }
    expect(disconnected().length).to.be.greaterThan(0);
    const { body } = await usersOf(room);
    expect(body.users.map((user: { id: string }) => user.id).sort()).to.deep.equal(
      users.filter(isPresent).sort(),
    );

    // A client that connects now gets the same members.
    const late = await pusher();
    const { presence } = await late.subscribe(room, { user_id: 'late' });
    expect([...presence.ids].sort()).to.deep.equal([...users.filter(isPresent), 'late'].sort());
  });

  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  async function usersOf(channel: string): Promise<{ status: number; body: any }> {
    const response = await pusherSdk(gusher.url).get({ path: `/channels/${channel}/users` });
    return { status: response.status, body: await response.json() };
  }
});

function removedIn({ texts }: PusherClient): string[] {
  return texts
    .map((text) => JSON.parse(text))
    .filter(({ event }) => event === 'pusher_internal:member_removed')
    .map(({ data }) => JSON.parse(data).user_id);
}
