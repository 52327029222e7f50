import { connect, type Socket } from 'node:net';
import { within } from './deadline.ts';

/** A raw TCP connection. */
export class RawSocket {
  readonly socket: Socket;
  /** Resolves with all received data when the connection is closed or reset. */
  readonly ended: Promise<string>;
  received = '';

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      socket.once('close', () => resolve(this.received));
    });
  }

  static async connect(port: number, localAddress = '127.0.0.1'): Promise<RawSocket> {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    const raw = new RawSocket(socket);
    await within(new Promise((resolve) => socket.once('connect', resolve)), `a connection to port ${port}`);
    return raw;
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  /** Waits until the server has closed the connection; returns all received data. */
  answer(timeoutMs?: number): Promise<string> {
    return within(this.ended, 'a raw connection to close', timeoutMs);
  }
}

/** Parses status and error code of the first response; the code is empty if the body is no gusher error. */
export function readErrorResponse(answer: string): { status: number; code: string } {
  const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(answer) ?? [];
  const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(answer) ?? [];
  const start = answer.indexOf('\r\n\r\n') + 4;
  const body = answer.slice(start, length === undefined ? undefined : start + Number(length));
  try {
    const { error } = JSON.parse(body) as { error: { code: string } };
    return { status: Number(status), code: error.code };
  } catch {
    return { status: Number(status ?? 0), code: '' };
  }
}

/** Builds the request of a WebSocket handshake. */
export function handshake(path: string, ...more: string[]): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...more,
    '\r\n',
  ].join('\r\n');
}

/** Builds a text frame of a client, masked with zeros, with at most 125 bytes of payload. */
export function maskedFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  if (payload.length > 125) throw new Error('payload longer than 125 bytes');
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
