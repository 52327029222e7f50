import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';

describe('`sid` query parameter of a connect', () => {
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({ workers: 2 });
  });

  after(() => gusher.stop());

  it('selects the worker that holds the connection with that id', async () => {
    const first = await connectClient(gusher.clientUrl());
    const { socket_id: sid } = await first.request('gusher.ping');
    const clients: Client[] = [];
    for (let count = 0; count < 6; count += 1) {
      clients.push(await connectClient(gusher.clientUrl('demo', `?sid=${sid}`)));
    }
    // All clients are on the killed worker. Round-robin dispatch would have put only half of them there.
    const [one, other] = gusher.workerPids as [number, number];
    const otherClient = await connectClient(gusher.clientUrl());
    process.kill(one, 'SIGKILL');
    const isDisconnected = ({ socket }: Client): boolean => socket.readyState === socket.CLOSED;
    await eventually(
      () => isDisconnected(first) || isDisconnected(otherClient),
      'the clients of the killed worker are disconnected',
    );
    const killed = isDisconnected(otherClient) ? [one, other] : [one];
    if (killed.length > 1) process.kill(other, 'SIGKILL');
    await eventually(() => [first, ...clients].every(isDisconnected), 'all clients are disconnected');
    otherClient.socket.terminate();
    // Without a worker, the clients of the next test are rejected.
    await eventually(() => gusher.workerPids.length === 2 + killed.length, 'the workers are replaced');
  });

  it('is ignored if no connection has that id', async () => {
    const client = await connectClient(gusher.clientUrl('demo', '?sid=AAAAAAAAAAAAAAAAAAAA'));
    expect((await client.request('gusher.ping')).event).to.equal('gusher.pong_succeeded');
    await client.close();
  });
});
