import { expect } from 'chai';
import { within } from '../../support/deadline.ts';
import { Clients } from './target.ts';

describe('Pusher §2: ping and pong', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  it('answers pusher:ping with any data', async () => {
    const client = await clients.connect();
    for (const data of [{}, undefined, 'x', null, 7]) {
      client.send('pusher:ping', data);
      expect(await client.nextText()).to.equal('{"event":"pusher:pong","data":"{}"}');
    }
  });

  it('answers a ping frame', async () => {
    const client = await clients.connect();
    const pong = new Promise<void>((resolve) => {
      client.socket.once('pong', () => resolve());
    });
    client.socket.ping();
    await within(pong, 'a pong frame');
  });

  it('accepts pusher:pong without a reply', async () => {
    const client = await clients.connect();
    client.send('pusher:pong', {});
    await client.expectNothing();
  });
});
