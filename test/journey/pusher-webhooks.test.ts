import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { IdentityServer } from '../support/identity-server.ts';
import { AppsFile, PUSHER_APP, pusherSdk } from '../support/pusher-app.ts';
import { connectPusher } from '../support/pusher-client.ts';
import { selfSigned } from '../support/self-signed.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

const occupied = (channel: string) => ({ name: 'channel_occupied', channel });
const vacated = (channel: string) => ({ name: 'channel_vacated', channel });
const added = (channel: string, user: string) => ({ name: 'member_added', channel, user_id: user });
const removed = (channel: string, user: string) => ({ name: 'member_removed', channel, user_id: user });

describe('webhooks for events', () => {
  const receiver = new WebhookReceiver();
  /** A webhook that receives member events only. */
  const selective = new WebhookReceiver();
  let identityServer: IdentityServer;
  let gusher: RunningGusher;
  let apps: AppsFile;

  before(async () => {
    await receiver.open();
    await selective.open();
    identityServer = await IdentityServer.start();
    const { url } = identityServer;
    apps = new AppsFile(
      { url, webhook_url: receiver.url, subscription_count: true },
      {
        selective: {
          url,
          id: '5',
          secret: 'selective-secret',
          webhook_url: selective.url,
          webhook_events: ['member_added', 'member_removed'],
        },
      },
    );
    gusher = await startGusher({
      workers: 2,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_EVENT_WEBHOOK_ALLOW_PRIVATE: 'true',
        GUSHER_EVENT_WEBHOOK_TIMEOUT_MS: '2000',
        GUSHER_EVENT_WEBHOOK_GRACE_MS: '4000',
      },
    });
  });

  after(async () => {
    await gusher.stop();
    identityServer.stop();
    receiver.close();
    selective.close();
    apps.remove();
  });

  async function join(user: string, channel: string, app = PUSHER_APP.key): Promise<Client> {
    const client = await connectClient(gusher.clientUrl(app, `?auth=${user}`));
    await client.subscribe(channel);
    return client;
  }

  /** Whether the client's worker was the killed one. */
  const loses = (client: Client): Promise<boolean> =>
    Promise.race([client.closed.then(() => true), client.request('gusher.ping', null).then(() => false)]);

  const counts = (channel: string): unknown[] =>
    receiver
      .of(channel)
      .flatMap((event) => ('subscription_count' in event ? [event.subscription_count] : []));
  const transitions = (channel: string): object[] =>
    receiver.of(channel).filter(({ name }) => name !== 'subscription_count');

  it('send bodies whose signature the SDK accepts', async () => {
    const client = await join('ann', 'signed');
    await receiver.received('signed', 1);
    const received = receiver.bodies.find(({ body }) => body.includes('"signed"'));
    const { headers = {}, body = '' } = received ?? {};
    expect(headers['content-type']).to.equal('application/json');
    const webhook = pusherSdk(gusher.api).webhook({ headers, rawBody: body });
    expect(webhook.isValid()).to.equal(true);
    expect(webhook.getEvents()).to.deep.include(occupied('signed'));
    expect(webhook.getTime().getTime()).to.be.closeTo(Date.now(), 60_000);
    const forged = pusherSdk(gusher.api).webhook({ headers, rawBody: `${body} ` });
    expect(forged.isValid()).to.equal(false);
    await client.close();
  });

  it('report the first and the last member, after a grace period in which a return cancels the leave', async () => {
    const channel = 'presence-grace';
    const first = await join('ann', channel);
    const second = await join('ann', channel);
    const third = await join('bea', channel);
    await eventually(() => transitions(channel).length >= 3, 'the joins are reported');
    await first.close();
    await third.close();
    const again = await join('bea', channel);
    await second.close();
    await eventually(() => transitions(channel).length >= 4, 'the leaves are reported');
    await again.close();
    await eventually(() => transitions(channel).length >= 6, 'the final state is reported');
    expect(transitions(channel)).to.have.deep.members([
      occupied(channel),
      added(channel, 'ann'),
      added(channel, 'bea'),
      removed(channel, 'ann'),
      removed(channel, 'bea'),
      vacated(channel),
    ]);
  });

  it('report subscription counts, including the final one', async () => {
    const clients = [await join('ann', 'counted'), await join('bea', 'counted')];
    await eventually(() => counts('counted').at(-1) === 2, 'a count of two is reported');
    for (const client of clients) await client.close();
    await eventually(() => counts('counted').at(-1) === 0, 'a count of zero is reported');
  });

  it('send an app only the kinds of events that it selected', async () => {
    const client = await join('ann', 'presence-chosen', 'selective');
    expect(await selective.received('presence-chosen', 1)).to.deep.equal([added('presence-chosen', 'ann')]);
    await client.close();
    expect(await selective.received('presence-chosen', 2)).to.deep.equal([
      added('presence-chosen', 'ann'),
      removed('presence-chosen', 'ann'),
    ]);
    expect(selective.events.every(({ name }) => name.startsWith('member_'))).to.equal(true);
  });

  it('retry in order if the receiver fails or hangs', async () => {
    receiver.answers.push(500, 'nothing');
    const bodies = receiver.bodies.length;
    const first = await join('ann', 'retried-1');
    await eventually(() => receiver.bodies.length > bodies, 'the first attempt');
    const second = await join('ann', 'retried-2');
    await receiver.received('retried-2', 1);
    const order = receiver.events.filter(
      ({ name, channel }) => name === 'channel_occupied' && /^retried/.test(channel),
    );
    expect(order).to.deep.equal([occupied('retried-1'), occupied('retried-2')]);
    const [failed, ...retries] = receiver.bodies.slice(bodies);
    expect(retries.slice(0, 2).map(({ body }) => body)).to.deep.equal(Array(2).fill(failed?.body));
    expect(
      gusher.logs.filter((line) => JSON.stringify(line).includes('hush')),
      'logs with the URL',
    ).to.deep.equal([]);
    await first.close();
    await second.close();
  });

  it('continue after their process was killed', async () => {
    const started = await gusher.logged('webhook_sender_started');
    receiver.answers.push('nothing');
    const bodies = receiver.bodies.length;
    const client = await join('ann', 'after-death');
    await eventually(() => receiver.bodies.length > bodies, 'the webhook sender waits for a response');
    process.kill(started.sender as number, 'SIGKILL');
    await receiver.received('after-death', 1);
    expect(transitions('after-death')).to.deep.equal([occupied('after-death')]);
    await client.close();
  });

  it('report exact transitions when a worker is killed', async () => {
    const channel = 'presence-killed';
    const users = Array.from({ length: 20 }, (_, n) => `user-${n}`);
    const clients = await Promise.all(users.map((user) => join(user, channel)));
    await eventually(() => transitions(channel).length >= 21, 'all transitions are reported');
    const [pid = 0] = gusher.workerPids.slice(-1);
    process.kill(pid, 'SIGKILL');
    const isLost = await Promise.all(clients.map(loses));
    const lost = users.filter((_, n) => isLost[n]);
    expect(lost.length).to.be.within(1, 19);
    // Half of the clients reconnect within the grace period: no event may report that they left.
    const returned = lost.filter((_, n) => n % 2 === 0);
    const back = await Promise.all(returned.map((user) => join(user, channel)));
    const missing = lost.filter((user) => !returned.includes(user));
    const isRemoved = (event: object): boolean => 'name' in event && event.name === 'member_removed';
    await eventually(
      () => transitions(channel).filter(isRemoved).length >= missing.length,
      'the lost members are reported',
    );
    for (const client of [...clients, ...back]) if (client.socket.readyState === 1) await client.close();
    await eventually(
      () => transitions(channel).some(({ name }: { name?: string }) => name === 'channel_vacated'),
      'the final state is reported',
    );
    expect(transitions(channel)).to.have.deep.members([
      occupied(channel),
      ...users.map((user) => added(channel, user)),
      ...users.map((user) => removed(channel, user)),
      vacated(channel),
    ]);
  });

  it('report members that left when gusher stops', async () => {
    const client = await join('zoe', 'presence-stop');
    await receiver.received('presence-stop', 2);
    expect(await gusher.stop()).to.equal(0);
    expect(receiver.of('presence-stop')).to.have.deep.members([
      occupied('presence-stop'),
      added('presence-stop', 'zoe'),
      removed('presence-stop', 'zoe'),
      vacated('presence-stop'),
    ]);
    client.socket.terminate();
  });
});

describe('Event webhooks over TLS', () => {
  let folder: string;
  let gusher: RunningGusher;
  let apps: AppsFile;
  let receiver: WebhookReceiver;
  let certificate: Buffer;

  beforeEach(async () => {
    const pair = selfSigned();
    certificate = pair.cert;
    receiver = new WebhookReceiver(pair);
    await receiver.open();
    folder = mkdtempSync(join(tmpdir(), 'gusher-ca-'));
    apps = new AppsFile({ webhook_url: receiver.url });
  });

  afterEach(async () => {
    await gusher.stop();
    receiver.close();
    apps.remove();
    rmSync(folder, { recursive: true });
  });

  async function start(env: Readonly<Record<string, string>>): Promise<void> {
    gusher = await startGusher({
      workers: 1,
      env: { GUSHER_APPS_FILE: apps.path, GUSHER_EVENT_WEBHOOK_ALLOW_PRIVATE: 'true', ...env },
    });
    const client = await connectPusher(`${gusher.url}/app/${PUSHER_APP.key}`, PUSHER_APP);
    await client.subscribe('by-tls');
  }

  it('accept a certificate from NODE_EXTRA_CA_CERTS', async () => {
    const path = join(folder, 'ca.pem');
    writeFileSync(path, certificate);
    await start({ NODE_EXTRA_CA_CERTS: path });
    expect(await receiver.received('by-tls', 1)).to.deep.equal([occupied('by-tls')]);
    const [{ headers, body } = { headers: {}, body: '' }] = receiver.bodies;
    expect(pusherSdk(gusher.api).webhook({ headers, rawBody: body }).isValid()).to.equal(true);
  });

  it('reject an untrusted certificate', async () => {
    await start({});
    const { error } = await gusher.logged('webhook_delivery_failed');
    expect(error).to.contain('DEPTH_ZERO_SELF_SIGNED_CERT');
    expect(receiver.bodies).to.deep.equal([]);
  });
});
