import { connect, type Socket } from 'node:net';

/**
 * Runs many cheap WebSocket clients in one process. They use raw sockets, read frame headers and skip payloads,
 * because they share the machine with the measured server.
 */

/** Requests of `Clients` to this process. */
export type ToClients =
  | {
      type: 'open';
      port: number;
      path: string;
      hello?: string;
      ready?: string;
      replies: (readonly [string, string])[];
      first: number;
      count: number;
      channels: number;
      /** One client in this many reads the timestamps. */
      sampled: number;
      perSecond: number;
    }
  | { type: 'reset' }
  | { type: 'report' };

/** Replies of this process. */
export type FromClients =
  | { type: 'opened'; ready: number }
  | { type: 'report'; deliveries: number; latenciesMs: number[]; cpuMs: number };

/** Added to the time that the requested rate needs. */
const OPEN_TIMEOUT_MS = 60_000;
const ACCEPTED = 'HTTP/1.1 101';
const NOTHING = Buffer.alloc(0);
const STAMP = '"ts":"';
const STAMP_DIGITS = 20;

let deliveries = 0;
let latenciesMs: number[] = [];
let ready = 0;

function maskedText(text: string): Buffer {
  const payload = Buffer.from(text);
  // A mask of zeros leaves the payload as it is.
  const head =
    payload.length < 126
      ? [0x81, 0x80 | payload.length, 0, 0, 0, 0]
      : [0x81, 0xfe, payload.length >> 8, payload.length & 255, 0, 0, 0, 0];
  return Buffer.concat([Buffer.from(head), payload]);
}

class LightClient {
  readonly #socket: Socket;
  readonly #options: ToClients & { type: 'open' };
  readonly #channel: number;
  readonly #sampled: boolean;
  #rest: Buffer | undefined;
  #upgraded = false;
  #isReady = false;

  constructor(options: ToClients & { type: 'open' }, index: number) {
    this.#options = options;
    this.#channel = index % options.channels;
    this.#sampled = index % options.sampled === 0;
    this.#socket = connect({
      port: options.port,
      host: '127.0.0.1',
      // One source address has about 28,000 ports for connections to one destination port.
      localAddress: `127.77.${(index >> 12) & 255}.1`,
    });
    this.#socket.setNoDelay(true);
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.write(
      `GET ${options.path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
  }

  #send(text: string): void {
    this.#socket.write(maskedText(text.replaceAll('{c}', String(this.#channel))));
  }

  #receive(chunk: Buffer): void {
    const data = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    const frames = this.#upgraded ? data : this.#readHandshakeResponse(data);
    const consumed = this.#readFrames(frames);
    if (consumed < frames.length) this.#keepRest(frames.subarray(consumed));
  }

  /** Returns the bytes after the handshake response. */
  #readHandshakeResponse(data: Buffer): Buffer {
    const end = data.indexOf('\r\n\r\n');
    if (end < 0) {
      this.#keepRest(data);
      return NOTHING;
    }
    if (data.toString('latin1', 0, ACCEPTED.length) !== ACCEPTED) {
      this.#socket.destroy();
      return NOTHING;
    }
    this.#upgraded = true;
    if (this.#options.hello !== undefined) this.#send(this.#options.hello);
    if (this.#options.ready === undefined) this.#becomeReady();
    return data.subarray(end + 4);
  }

  /** Reads complete frames; returns the number of bytes read. */
  #readFrames(data: Buffer): number {
    let at = 0;
    while (data.length - at >= 2) {
      const short = data.readUInt8(at + 1) & 127;
      const head = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (data.length - at < head) break;
      const length =
        short < 126 ? short : short === 126 ? data.readUInt16BE(at + 2) : data.readUInt32BE(at + 6);
      if (data.length - at < head + length) break;
      this.#handleFrame(data, at, at + head, length);
      at += head + length;
    }
    return at;
  }

  #keepRest(data: Buffer): void {
    this.#rest = Buffer.from(data);
  }

  #handleFrame(data: Buffer, head: number, start: number, length: number): void {
    const opcode = data.readUInt8(head) & 15;
    if (opcode === 9) this.#socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]));
    if (opcode !== 1) return;
    if (!this.#isReady || this.#options.replies.length > 0) {
      const text = data.toString('utf8', start, start + length);
      if (this.#replyTo(text)) return;
      if (!this.#isReady) {
        if (text.includes(this.#options.ready ?? '')) this.#becomeReady();
        return;
      }
    }
    deliveries += 1;
    if (this.#sampled) this.#readStamp(data, start, length);
  }

  #replyTo(text: string): boolean {
    const reply = this.#options.replies.find(([prefix]) => text.startsWith(prefix));
    if (reply !== undefined) this.#send(reply[1]);
    return reply !== undefined;
  }

  #readStamp(data: Buffer, start: number, length: number): void {
    const at = data.subarray(start, start + length).indexOf(STAMP);
    if (at < 0) return;
    const from = start + at + STAMP.length;
    const sentNs = BigInt(data.toString('latin1', from, from + STAMP_DIGITS).replace(/\D.*/, ''));
    latenciesMs.push(Number(process.hrtime.bigint() - sentNs) / 1e6);
  }

  #becomeReady(): void {
    this.#isReady = true;
    ready += 1;
  }
}

async function open(options: ToClients & { type: 'open' }): Promise<void> {
  const before = ready;
  const until = performance.now() + (options.count / options.perSecond) * 1_000 + OPEN_TIMEOUT_MS;
  const startedAt = performance.now();
  for (let opened = 0; opened < options.count; ) {
    const due = Math.min(options.count, ((performance.now() - startedAt) / 1_000) * options.perSecond + 1);
    // At most 64 handshakes are pending: the scenario measures their cost, not the behaviour under overload.
    for (; opened < due && opened - (ready - before) < 64; opened += 1) {
      new LightClient(options, options.first + opened);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (performance.now() > until) break;
  }
  while (ready - before < options.count && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  send({ type: 'opened', ready: ready - before });
}

function send(message: FromClients): void {
  process.send?.(message);
}

process.on('message', (message: ToClients) => {
  switch (message.type) {
    case 'open':
      void open(message);
      break;
    case 'reset':
      deliveries = 0;
      latenciesMs = [];
      break;
    case 'report': {
      const { user, system } = process.cpuUsage();
      send({ type: 'report', deliveries, latenciesMs, cpuMs: (user + system) / 1_000 });
      break;
    }
    default:
      message satisfies never;
  }
});
process.on('disconnect', () => process.exit(0));
