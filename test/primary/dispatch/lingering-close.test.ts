import type { Socket } from 'node:net';
import { expect } from 'chai';
import { LingeringClose } from '../../../src/primary/dispatch/lingering-close.ts';
import { createPendingSocket } from '../../../src/primary/dispatch/pending-socket.ts';
import { ERRORS } from '../../../src/shared/errors/catalogue.ts';
import { eventually } from '../../support/deadline.ts';
import { socketPair } from '../../support/socket-pair.ts';

describe('LingeringClose', () => {
  const clients: Socket[] = [];
  let lingeringClose: LingeringClose;

  beforeEach(() => {
    lingeringClose = new LingeringClose({ clientLog: { connectRejected: () => undefined }, maxSockets: 2 });
  });

  afterEach(() => {
    lingeringClose.close();
    for (const client of clients.splice(0)) client.destroy();
  });

  /** Rejects a socket whose client neither reads nor closes. */
  async function rejectSilentClient(): Promise<Socket> {
    const [client, socket] = await socketPair();
    clients.push(client);
    lingeringClose.reject(createPendingSocket(socket, 'public'), ERRORS.no_worker);
    return socket;
  }

  it('destroys the oldest socket beyond its maximum', async () => {
    const [first, second] = [await rejectSilentClient(), await rejectSilentClient()];
    expect([first.destroyed, second.destroyed]).to.deep.equal([false, false]);
    const third = await rejectSilentClient();
    expect([first.destroyed, second.destroyed, third.destroyed]).to.deep.equal([true, false, false]);
  });

  it('destroys a socket whose client does not close', async () => {
    const socket = await rejectSilentClient();
    await eventually(() => socket.destroyed, 'the socket is destroyed');
  });
});
