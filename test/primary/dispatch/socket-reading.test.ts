import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { LingeringClose } from '../../../src/primary/dispatch/lingering-close.ts';
import { createPendingSocket } from '../../../src/primary/dispatch/pending-socket.ts';
import { startReading, stopReading } from '../../../src/primary/dispatch/socket-reading.ts';
import { ERRORS } from '../../../src/shared/errors/catalogue.ts';
import { eventually, within } from '../../support/deadline.ts';
import { RawSocket, readErrorResponse } from '../../support/raw-socket.ts';

describe('startReading', () => {
  let server: Server;

  afterEach(() => server.close());

  async function accept(pauseOnConnect: boolean): Promise<{ socket: Socket; client: RawSocket }> {
    server = createServer({ pauseOnConnect, allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const client = await RawSocket.connect((server.address() as AddressInfo).port);
    return { socket: (await accepted)[0], client };
  }

  function createLingeringClose(): LingeringClose {
    return new LingeringClose({ clientLog: { connectRejected: () => undefined }, maxSockets: 16 });
  }

  it('resumes a socket that stopped itself at its high-water mark, so that its client receives the error', async () => {
    const { socket, client } = await accept(false);
    const lingeringClose = createLingeringClose();
    const pendingSocket = createPendingSocket(socket, 'public');
    socket.pause();
    // Read once and consume nothing: the stream fills up and stops its handle.
    socket.read(0);
    client.send(Buffer.alloc(1024 * 1024));
    await eventually(() => socket.readableLength >= socket.readableHighWaterMark, 'the stream is full');
    stopReading(socket);
    lingeringClose.reject(pendingSocket, ERRORS.no_worker);
    expect(readErrorResponse(await client.answer())).to.deep.equal({ status: 503, code: 'no_worker' });
    expect(socket.errored).to.equal(null);
    lingeringClose.close();
  });

  it('reads a socket that its server paused', async () => {
    const { socket, client } = await accept(true);
    const lingeringClose = createLingeringClose();
    client.send('GET / HTTP/1.1\r\n\r\n');
    lingeringClose.reject(createPendingSocket(socket, 'api'), ERRORS.no_worker);
    expect(readErrorResponse(await client.answer())).to.deep.equal({ status: 503, code: 'no_worker' });
    expect(socket.errored).to.equal(null);
    lingeringClose.close();
  });

  it('undoes stopReading', async () => {
    const { socket, client } = await accept(false);
    socket.on('data', () => undefined);
    stopReading(socket);
    startReading(socket);
    const data = once(socket, 'data');
    client.send('hello');
    expect(String((await within(data, 'the bytes'))[0])).to.equal('hello');
    socket.destroy();
  });
});
