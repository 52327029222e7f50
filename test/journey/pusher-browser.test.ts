import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { PageServer, PusherPage, pageOptions, startBrowser } from '../support/browser.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP } from '../support/pusher-app.ts';
import { openPusherSocket } from '../support/pusher-client.ts';

describe('pusher-js in a browser', () => {
  let browser: Browser | undefined;
  let gusher: RunningGusher;
  let apps: AppsFile;
  let server: PageServer;

  before(async function () {
    browser = await startBrowser();
    if (browser === undefined) return this.skip();
    apps = new AppsFile();
    gusher = await startGusher({
      workers: 1,
      // Browsers offer this extension; the Node build does not.
      env: { GUSHER_APPS_FILE: apps.path, GUSHER_COMPRESSION: 'true' },
    });
    server = await PageServer.start({ url: gusher.url, ...PUSHER_APP });
  });

  after(async () => {
    await browser?.close();
    server?.close();
    await gusher?.stop();
    apps?.remove();
  });

  it('reconnects after its worker was killed, with its subscriptions and a new socket id', async () => {
    const options = pageOptions({ url: gusher.url, ...PUSHER_APP }, 'ann');
    const page = await PusherPage.open(browser as Browser, server.address(), PUSHER_APP.key, options);
    await page.waitForState('connected');
    await page.subscribe('presence-room', 'before', 'after');
    const first = await page.connection();
    await server.sdk.trigger('presence-room', 'before', { n: 1 });
    expect((await page.received('before')).data).to.deep.equal({ n: 1 });

    process.kill(gusher.workerPids[0] as number, 'SIGKILL');
    await eventually(async () => {
      const { socketId, state } = await page.connection();
      return state === 'connected' && socketId !== first.socketId;
    }, 'the page has reconnected');
    await eventually(async () => {
      const response = await server.sdk.get({ path: '/channels/presence-room/users' });
      return response.status === 200 && (await response.text()).includes('ann');
    }, 'ann is in the room again');
    await server.sdk.trigger('presence-room', 'after', { n: 2 });
    expect((await page.received('after')).data).to.deep.equal({ n: 2 });
    expect(server.authCalls).to.deep.equal(['presence-room', 'presence-room']);
    expect(await page.states()).to.deep.equal(['connected', 'connecting', 'connected']);
  });

  it('connects at the first attempt, or at the second if it has connected within half an hour', async () => {
    const busy = await startGusher({
      workers: 1,
      env: { GUSHER_APPS_FILE: apps.path, GUSHER_PUSHER_CONNECTS_PER_SECOND: '2' },
    });
    const options = pageOptions({ url: busy.url, ...PUSHER_APP });
    const pages: PusherPage[] = [];
    const attempts = [0, 0];
    for (const index of attempts.keys()) {
      const page = await PusherPage.open(browser as Browser, server.address(), PUSHER_APP.key, options);
      await page.waitForState('connected');
      page.page.on('websocket', () => {
        attempts[index] = (attempts[index] ?? 0) + 1;
      });
      pages.push(page);
    }
    // The two states that pusher-js stores about the last attempt: none, and a latency of 0 ms.
    await pages[0]?.page.evaluate('localStorage.clear()');
    await pages[1]?.page.evaluate(`
      const last = JSON.parse(localStorage.pusherTransportNonTLS);
      localStorage.pusherTransportNonTLS = JSON.stringify({ ...last, latency: 0 });
    `);
    const others = await Promise.all(
      Array.from({ length: 8 }, () => openPusherSocket(`${busy.url}/app/${PUSHER_APP.key}`, PUSHER_APP)),
    );
    await Promise.all(pages.map((page) => page.connect(PUSHER_APP.key, options)));
    await Promise.all(pages.map((page) => page.waitForState('connected')));
    expect(attempts).to.deep.equal([1, 2]);
    for (const { socket } of others) socket.terminate();
    await busy.stop('SIGINT');
  });
});
