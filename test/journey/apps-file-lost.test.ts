import { rmSync } from 'node:fs';
import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP } from '../support/pusher-app.ts';

const REQUESTS = 12;

describe('Apps file that disappears', () => {
  it('is an error for a worker that starts afterwards, too, until the file exists again', async () => {
    const apps = new AppsFile({ url: 'http://127.0.0.1:9/' });
    const gusher = await startGusher({ workers: 2, env: { GUSHER_APPS_FILE: apps.path } });
    rmSync(apps.path);
    await eventually(() => failedWorkers(gusher).length === 2, 'both workers report the loss');

    const [victim] = gusher.workerPids as [number];
    process.kill(victim, 'SIGKILL');
    await eventually(() => gusher.workerPids.length === 3, 'a new worker is ready');
    const [, , started] = gusher.workerPids as [number, number, number];
    await eventually(() => failedWorkers(gusher).includes(started), 'the new worker reports the loss');
    expect(new Set(await statuses(() => readiness(gusher)))).to.deep.equal(new Set([503]));
    const published = await statuses(() => gusher.publish('news', 'tick', 1, PUSHER_APP.key));
    // The old worker still serves the app that it knows.
    expect(published).to.include(503);
    expect(published.every((status) => status === 200 || status === 503)).to.equal(true);
    expect(await statuses(() => gusher.publish('news', 'tick', 1, 'other'))).not.to.include(404);
    const registered = await fetch(`${gusher.api}/v1/admin/apps/other`, {
      method: 'PUT',
      body: '{"url":"http://127.0.0.1:9/"}',
    });
    expect(registered.status, 'a new file would lack the other apps').to.equal(503);

    apps.write({ [PUSHER_APP.key]: { url: 'http://127.0.0.1:9/' } });
    await eventually(
      async () => (await statuses(() => readiness(gusher))).every((status) => status === 200),
      'every worker is ready',
    );
    expect(await gusher.stop()).to.equal(0);
    apps.remove();
  });
});

/** Pids of the workers that logged `app_store_failed`. */
function failedWorkers(gusher: RunningGusher): unknown[] {
  return gusher.logs.filter(({ event }) => event === 'app_store_failed').map(({ pid }) => pid);
}

function readiness(gusher: RunningGusher): Promise<Response> {
  return fetch(`${gusher.api}/readyz`, { headers: { Connection: 'close' } });
}

/** Sends so many requests at once that each worker gets some. */
async function statuses(send: () => Promise<Response>): Promise<number[]> {
  const request = async (): Promise<number> => {
    const response = await send();
    await response.text();
    return response.status;
  };
  return Promise.all(Array.from({ length: REQUESTS }, request));
}
