import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { isAlive } from '../support/processes.ts';

const CLIENTS = 8;

describe('Worker with a blocked event loop', () => {
  let gusher: RunningGusher;

  beforeEach(async () => {
    gusher = await startGusher({ workers: 2, env: { GUSHER_WORKER_LIVENESS_TIMEOUT_MS: '4000' } });
  });

  afterEach(() => gusher.stop());

  it('is detected, killed and replaced; its pending clients move to another worker', async () => {
    const [stuck] = gusher.workerPids as [number];
    process.kill(stuck, 'SIGSTOP');
    // Half of the clients are dispatched to the blocked worker.
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => within(connectClient(gusher.clientUrl()), 'a connect')),
    );
    const replies = await Promise.all(clients.map((client) => client.request('gusher.ping')));
    for (const { event } of replies) expect(event).to.equal('gusher.pong_succeeded');
    const exit = await gusher.logged('worker_exited');
    expect(exit.killReason).to.match(/^it sent no heartbeat for \d+ ms$/);
    expect(isAlive(stuck)).to.equal(false);
    for (const client of clients) client.socket.terminate();
  });

  it('leaves no client hanging if it is killed while clients are dispatched to it', async () => {
    const [victim] = gusher.workerPids as [number];
    process.kill(victim, 'SIGSTOP');
    const clients = Array.from({ length: CLIENTS }, () => connectClient(gusher.clientUrl()));
    // The other half has connected: all clients have been dispatched.
    await within(Promise.any(clients), 'the first connect');
    process.kill(victim, 'SIGKILL');
    const settled = await within(Promise.allSettled(clients), 'an end of all connects');
    for (const result of settled) {
      expect(result.status).to.equal('fulfilled');
      if (result.status === 'fulfilled') result.value.socket.terminate();
    }
  });

  it('ends the API requests that were dispatched to it', async () => {
    const [stuck] = gusher.workerPids as [number];
    process.kill(stuck, 'SIGSTOP');
    const requests = Array.from({ length: CLIENTS }, () =>
      fetch(`${gusher.api}/healthz`, { headers: { Connection: 'close' } }),
    );
    const settled = await within(Promise.allSettled(requests), 'an end of all requests');
    expect(settled.some((result) => result.status === 'fulfilled' && result.value.status === 200)).to.equal(
      true,
    );
  });
});
