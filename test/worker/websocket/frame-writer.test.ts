import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { FrameWriter, type WriteTarget } from '../../../src/worker/websocket/frame-writer.ts';
import { eventually, within } from '../../support/deadline.ts';

const MEBIBYTE = 1024 * 1024;

/** Bytes that differ by position and by write, so that any mix-up is detected. */
function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (at * 31 + (at >> 8) + seed * 7) & 0xff;
  return bytes;
}

function openTarget(writer: FrameWriter, stream: Socket): WriteTarget {
  const target: WriteTarget = { stream, handle: undefined, streamed: true, directBytes: 0 };
  writer.open(target);
  return target;
}

const ways = [
  { name: 'the public way', make: async () => new FrameWriter() },
  {
    name: 'the direct way',
    make: async () => {
      const writer = new FrameWriter();
      expect(await writer.probe(), 'the probe passes on this Node').to.equal(true);
      return writer;
    },
  },
];

// Every test runs for both ways of writing: bytes on the wire and counters must be the same.
for (const way of ways) {
  describe(`FrameWriter (${way.name})`, () => {
    let writer: FrameWriter;
    let server: Server;
    let near: Socket;
    let far: Socket;
    let target: WriteTarget;
    let received: Buffer[];
    let sent: Buffer[];

    before(async () => {
      writer = await way.make();
      server = createServer({ pauseOnConnect: true });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    });

    after(() => server.close());

    beforeEach(async () => {
      [near, far] = await connectPair(server);
      for (const socket of [near, far]) socket.on('error', () => undefined);
      target = openTarget(writer, near);
      [sent, received] = [[], []];
      far.on('data', (chunk: Buffer) => received.push(chunk));
      far.pause();
    });

    afterEach(() => {
      near.destroy();
      far.destroy();
    });

    const write = (length: number): void => {
      const bytes = pattern(length, sent.length);
      sent.push(bytes);
      writer.write(target, bytes);
    };
    /** Writes until the system accepts only a part of a write. */
    const fill = (): void => {
      while (writer.unsentBytes(target) === 0) write(MEBIBYTE + 1);
    };
    const everythingArrives = async (): Promise<void> => {
      const expected = Buffer.concat(sent);
      far.resume();
      await eventually(
        () => received.reduce((sum, { length }) => sum + length, 0) >= expected.length,
        'all bytes',
      );
      expect(Buffer.concat(received).equals(expected), 'byte for byte').to.equal(true);
    };

    it('has no unsent bytes after writes that the system accepts at once', async () => {
      for (let n = 0; n < 50; n += 1) write(n * 3);
      expect(writer.unsentBytes(target)).to.equal(0);
      await everythingArrives();
    });

    it('keeps the order after a partial write', async () => {
      fill();
      for (let n = 0; n < 20; n += 1) write(1_000 + n);
      await everythingArrives();
      await eventually(() => writer.unsentBytes(target) === 0, 'all bytes are sent');
      write(10);
      await everythingArrives();
    });

    it('keeps the order with writes to the stream itself', async () => {
      for (const round of [0, 1]) {
        if (round === 1) fill();
        for (let n = 0; n < 10; n += 1) {
          write(500);
          const bytes = pattern(50, n);
          sent.push(bytes);
          near.write(bytes);
        }
      }
      await everythingArrives();
    });

    it('counts the bytes of a partial write, and those behind it, until the system accepts all', async () => {
      fill();
      expect(writer.unsentBytes(target)).to.equal(MEBIBYTE + 1);
      write(1_000);
      expect(writer.unsentBytes(target)).to.equal(MEBIBYTE + 1_001);
      await everythingArrives();
      await eventually(() => writer.unsentBytes(target) === 0, 'all bytes are sent');
    });

    it('sends unsent bytes before the end of the stream', async () => {
      fill();
      const last = pattern(40, 99);
      sent.push(last);
      near.end(last);
      const ended = once(far, 'end');
      await everythingArrives();
      await within(ended, 'the end');
    });

    it('throws nothing when the socket is destroyed with unsent bytes', async () => {
      fill();
      near.destroy();
      for (let n = 0; n < 5; n += 1) write(100);
      await once(near, 'close');
      await eventually(() => target.directBytes === 0, 'no bytes are kept for a closed socket');
      for (let n = 0; n < 5; n += 1) write(100);
    });

    it('destroys a socket after a reset by the client', async () => {
      fill();
      far.resetAndDestroy();
      await eventually(() => near.destroyed, 'the end of the socket');
      write(100);
      await eventually(() => target.directBytes === 0, 'no bytes are kept for a closed socket');
    });

    it('shares one buffer among many sockets without changing it', async () => {
      const targets: WriteTarget[] = [];
      const readers: { all: Promise<Buffer>; socket: Socket }[] = [];
      for (let n = 0; n < 5; n += 1) {
        const [stream, socket] = await connectPair(server);
        targets.push(openTarget(writer, stream));
        readers.push({ all: readToEnd(socket), socket });
      }
      const shared = pattern(8 * MEBIBYTE, 1);
      const before = Buffer.from(shared);
      for (const other of targets) writer.write(other, shared);
      for (const { stream } of targets) stream.end();
      for (const { all } of readers) expect((await within(all, 'all bytes')).equals(before)).to.equal(true);
      expect(shared.equals(before)).to.equal(true);
    });
  });
}

async function connectPair(server: Server): Promise<[Socket, Socket]> {
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [[far]] = await Promise.all([once(server, 'connection'), once(near, 'connect')]);
  return [near, far as Socket];
}

async function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
