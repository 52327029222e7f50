import { createHash } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/**
 * The minimal server: one channel with all clients, one process, no ws, no parsing. It frames a publication once and
 * writes it to each socket with one `write`. It replaces a server in C, which would need a compiler.
 */
const clients = new Set<Socket>();

function frameOf(body: Buffer): Buffer {
  const head =
    body.length < 126
      ? Buffer.from([0x81, body.length])
      : Buffer.from([0x81, 126, body.length >> 8, body.length & 255]);
  return Buffer.concat([head, body]);
}

const publicPort = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('close', () => clients.delete(socket));
  socket.once('data', (chunk: Buffer) => {
    const key = /sec-websocket-key: *([^\r]+)/i.exec(chunk.toString('latin1'))?.[1] ?? '';
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.resume();
    clients.add(socket);
  });
}).listen({ port: 0, host: '127.0.0.1', backlog: 4_096 });

/** Longer than any pause of the publisher: a request fails if the server closes its connection at that moment. */
const KEEP_ALIVE_MS = 65_000;

const publishPort = createHttpServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const frame = frameOf(Buffer.concat(chunks));
    for (const client of clients) client.write(frame);
    response.end('{}');
  });
}).listen({ port: 0, host: '127.0.0.1' });

publishPort.on('listening', () => {
  const [port, publish] = [publicPort, publishPort].map((server) => (server.address() as AddressInfo).port);
  process.stdout.write(`${JSON.stringify({ port, publishPort: publish })}\n`);
});
