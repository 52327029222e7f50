import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { PageServer, type PageWorld, PusherPage, pageOptions, startBrowser } from '../../support/browser.ts';
import { eventually } from '../../support/deadline.ts';
import { conformanceTarget, fresh, type Target, trigger } from './target.ts';

describe('Pusher: pusher-js in a browser, unmodified', () => {
  let browser: Browser | undefined;
  let server: PageServer;
  let target: Target;

  before(async function () {
    browser = await startBrowser();
    if (browser === undefined) return this.skip();
    target = await conformanceTarget();
    server = await PageServer.start(target);
  });
  afterEach(async () => {
    for (const context of browser?.contexts() ?? []) await context.close();
  });
  after(async () => {
    await browser?.close();
    server?.close();
  });

  async function open(user?: string): Promise<PusherPage> {
    const page = await PusherPage.open(
      browser as Browser,
      server.address(),
      target.key,
      pageOptions(target, user),
    );
    await page.waitForState('connected');
    return page;
  }

  it('receives events as the published objects, on public, private and encrypted channels', async () => {
    const page = await open();
    for (const prefix of ['', 'private-', 'private-encrypted-']) {
      const channel = fresh(prefix);
      await page.subscribe(channel, channel);
      const data = { a: ['ü', 1], channel };
      if (prefix === 'private-encrypted-') await server.sdk.trigger(channel, channel, data);
      else await trigger(channel, channel, data);
      expect((await page.received(channel)).data).to.deep.equal(data);
    }
    expect(server.authCalls.map((name) => name.replace(/[^-]*-[^-]*-[^-]*$/, ''))).to.deep.equal([
      'private-',
      'private-encrypted-',
    ]);
  });

  it('receives joins, leaves and the sender of client events', async () => {
    const name = fresh('presence-');
    const [one, two] = [await open('1'), await open('2')];
    await one.subscribe(name, 'pusher:member_added', 'pusher:member_removed', 'client-hi');
    await two.subscribe(name);
    expect((await one.received('pusher:member_added')).data).to.deep.equal({ id: '2', info: { name: '2' } });
    await two.trigger(name, 'client-hi', { n: 1 });
    const { data, metadata } = await one.received('client-hi');
    expect([data, metadata]).to.deep.equal([{ n: 1 }, { user_id: '2' }]);
    // Like a closed tab: the script does not disconnect.
    await two.page.close();
    expect((await one.received('pusher:member_removed')).data.id).to.equal('2');
  });

  it('receives the last event of a cache channel, or the cache miss', async () => {
    const channel = fresh('private-cache-');
    const page = await open();
    await page.subscribe(channel, 'pusher:cache_miss');
    await page.received('pusher:cache_miss');
    await trigger(channel, 'e', { n: 1 });
    const later = await open();
    await later.subscribe(channel, 'e');
    expect((await later.received('e')).data).to.deep.equal({ n: 1 });
  });

  it('signs in, and receives messages to the user', async () => {
    const user = fresh('u');
    const page = await open(user);
    await page.page.evaluate(
      () =>
        new Promise<void>((resolve) => {
          const { client, received } = globalThis as unknown as PageWorld;
          client.user.bind('for-you', (data: unknown) =>
            received.push({ channel: '', event: 'for-you', data }),
          );
          client.bind('pusher:signin_success', () => resolve());
          client.signin();
        }),
    );
    // pusher-js subscribes to the user's channel after the sign-in.
    await eventually(async () => {
      await server.sdk.sendToUser(user, 'for-you', { n: 1 });
      const received = await page.page.evaluate(() => (globalThis as unknown as PageWorld).received.length);
      return received > 0;
    }, 'the user receives it');
    expect((await page.received('for-you')).data).to.deep.equal({ n: 1 });
  });

  it('lists members and whispers with laravel-echo', async () => {
    const name = fresh();
    const [one, two] = [await open('1'), await open('2')];
    for (const { page } of [one, two]) {
      const here = await page.evaluate(
        (room) =>
          new Promise((resolve) => {
            const world = globalThis as unknown as PageWorld;
            const echo = new world.Echo.default({ broadcaster: 'pusher', key: '', client: world.client });
            echo
              .join(room)
              .here(resolve)
              .listenForWhisper('typing', (data: unknown) =>
                world.received.push({ channel: room, event: 'typing', data }),
              );
          }),
        name,
      );
      expect(here).to.have.length(page === one.page ? 1 : 2);
    }
    await two.trigger(`presence-${name}`, 'client-typing', { who: 'two' });
    expect((await one.received('typing')).data).to.deep.equal({ who: 'two' });
  });

  it('stops reconnecting if the app rejects its origin, and connects from an allowed one', async function () {
    const { guardedKey } = target;
    if (guardedKey === undefined) return this.skip();
    const openFrom = (hostname?: string): Promise<PusherPage> =>
      PusherPage.open(browser as Browser, server.address(hostname), guardedKey, pageOptions(target));
    await (await openFrom()).waitForState('disconnected');
    await (await openFrom('www.shop.example')).waitForState('connected');
  });
});
