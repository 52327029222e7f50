import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect } from 'chai';
import { WebSocket, WebSocketServer } from 'ws';
import type { ErrorEntry } from '../../../src/shared/errors/catalogue.ts';
import { ClientSocket, type ClientSocketEvents } from '../../../src/worker/connection/client-socket.ts';
import type { Connection } from '../../../src/worker/connection/connection.ts';
import { FrameWriter } from '../../../src/worker/websocket/frame-writer.ts';
import { eventually } from '../../support/deadline.ts';
import { makeConnection } from '../../support/transport.ts';

/** Records what a `ClientSocket` reports. */
class RecordingEvents implements ClientSocketEvents {
  readonly calls: string[] = [];

  message(_connection: Connection, data: Buffer, isBinary: boolean): void {
    this.calls.push(`message ${data.toString()} ${isBinary ? 'binary' : 'text'}`);
  }

  /** Not recorded: it depends on `countFrames`, which another test in this process may have called. */
  frame(): void {}

  pinged(_connection: Connection, data: Buffer): void {
    this.calls.push(`ping ${data.toString()}`);
  }

  closed({ state }: Connection): void {
    this.calls.push(`closed ${state}`);
  }

  broken(_connection: Connection, error: ErrorEntry): void {
    this.calls.push(`broken ${error.code}`);
  }
}

describe('ClientSocket', () => {
  let server: Server;
  let client: WebSocket;
  let socket: ClientSocket;
  let stream: Socket;

  beforeEach(async () => {
    server = createServer();
    const webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      autoPong: false,
      WebSocket: ClientSocket,
    });
    const opened = new Promise<void>((resolve) => {
      server.on('upgrade', (request: IncomingMessage, tcp: Socket, head: Buffer) => {
        webSockets.handleUpgrade(request, tcp, head, (one) => {
          [socket, stream] = [one, tcp];
          resolve();
        });
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await Promise.all([opened, once(client, 'open')]);
  });

  afterEach(() => {
    client.terminate();
    server.close();
  });

  function attach(): { connection: Connection; calls: string[] } {
    const { connection } = makeConnection();
    const events = new RecordingEvents();
    socket.attach(connection, stream, new FrameWriter(), events);
    return { connection, calls: events.calls };
  }

  it('reports every event of ws without a listener', async () => {
    const { connection, calls } = attach();
    client.send('one');
    client.send(Buffer.from('two'));
    client.ping('three');
    client.pong();
    await eventually(() => connection.ponged, 'the pong was received');
    expect(calls).to.deep.equal(['message one text', 'message two binary', 'ping three']);
    client.close();
    await eventually(() => calls.at(-1) === 'closed closed', 'the close was reported');
    expect(socket.eventNames(), 'listeners for each socket').to.deep.equal([]);
  });

  it('reports a violation of RFC 6455 instead of closing without a reason', async () => {
    const { calls } = attach();
    // Opcode 3 is reserved (RFC 6455 §5.2).
    (client as unknown as { _socket: Socket })._socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]));
    await eventually(() => calls.includes('broken bad_frame'), 'the violation was reported');
  });

  it('keeps early messages and answers early pings until it is attached', async () => {
    socket.waitForAdmission({ pendingClientClosed: () => undefined });
    client.ping('early');
    const [payload] = await once(client, 'pong');
    expect(String(payload)).to.equal('early');
    client.send('first');
    client.send('second');
    await eventually(() => socket.isPaused, 'reading was paused');
    const { calls } = attach();
    socket.replayEarlyMessages();
    await eventually(() => calls.length === 2, 'both messages were received');
    expect(calls).to.deep.equal(['message first text', 'message second text']);
  });

  it('notifies the handler of pending clients when a client disconnects before it is attached', async () => {
    const closed = new Promise<ClientSocket>((resolve) => {
      socket.waitForAdmission({ pendingClientClosed: resolve });
    });
    client.terminate();
    expect(await closed).to.equal(socket);
  });
});
