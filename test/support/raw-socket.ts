import { connect, type Socket } from 'node:net';
import { within } from './deadline.ts';

/** A TCP connection that says whatever a test likes. */
export class RawSocket {
  readonly socket: Socket;
  /** Resolves with all that was received, when the other side has ended or reset the connection. */
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

  static async connect(port: number): Promise<RawSocket> {
    const socket = connect(port, '127.0.0.1');
    const raw = new RawSocket(socket);
    await within(new Promise((resolve) => socket.once('connect', resolve)), `a connection to port ${port}`);
    return raw;
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  /** What the server said until it closed the connection. */
  answer(timeoutMs?: number): Promise<string> {
    return within(this.ended, 'the end of a raw connection', timeoutMs);
  }
}

/** Status and code of the first error that came over the wire; an empty code if it was no JSON of ours. */
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

/** The head of a WebSocket handshake. */
export function handshake(path: string, ...more: string[]): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: gusher',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...more,
    '\r\n',
  ].join('\r\n');
}

/** A text frame as a client has to send it: masked, here with zeros. */
export function maskedFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  if (payload.length > 125) throw new Error('longer than a test needs');
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
