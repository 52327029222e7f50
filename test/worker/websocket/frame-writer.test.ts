import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { FrameWriter, type WriteTarget } from '../../../src/worker/websocket/frame-writer.ts';
import { eventually, within } from '../../support/deadline.ts';

const MEBIBYTE = 1024 * 1024;

/** Bytes that differ from place to place and from write to write, so that any mix-up shows. */
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

// Every test holds for both: what is on the wire, and what is said of it, must not tell which way it went.
for (const way of ways) {
  describe(`the frame writer, ${way.name}`, () => {
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
    /** Writes until the system takes no more, so that a write is cut in its middle and the rest waits. */
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

    it('writes at once what the system takes at once, and nothing waits then', async () => {
      for (let n = 0; n < 50; n += 1) write(n * 3);
      expect(writer.unsentBytes(target)).to.equal(0);
      await everythingArrives();
    });

    it('keeps the order behind a write that was taken in part', async () => {
      fill();
      for (let n = 0; n < 20; n += 1) write(1_000 + n);
      await everythingArrives();
      await eventually(() => writer.unsentBytes(target) === 0, 'nothing waits');
      write(10);
      await everythingArrives();
    });

    it('keeps the order with what others write to the stream', async () => {
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

    it('counts every byte of a cut write until the system has all of it, and what waits behind', async () => {
      fill();
      expect(writer.unsentBytes(target)).to.equal(MEBIBYTE + 1);
      write(1_000);
      expect(writer.unsentBytes(target)).to.equal(MEBIBYTE + 1_001);
      await everythingArrives();
      await eventually(() => writer.unsentBytes(target) === 0, 'nothing waits');
    });

    it('sends what waits before the end of the stream', async () => {
      fill();
      const last = pattern(40, 99);
      sent.push(last);
      near.end(last);
      const ended = once(far, 'end');
      await everythingArrives();
      await within(ended, 'the end');
    });

    it('is quiet when the socket is destroyed in the middle of a batch, with bytes waiting', async () => {
      fill();
      near.destroy();
      for (let n = 0; n < 5; n += 1) write(100);
      await once(near, 'close');
      await eventually(() => target.directBytes === 0, 'nothing is held for a socket that is gone');
      for (let n = 0; n < 5; n += 1) write(100);
    });

    it('destroys a socket whose other end has reset it', async () => {
      fill();
      far.resetAndDestroy();
      await eventually(() => near.destroyed, 'the end of the socket');
      write(100);
      await eventually(() => target.directBytes === 0, 'nothing is held for a socket that is gone');
    });

    it('shares one buffer among many sockets and leaves it as it was', async () => {
      const others: WriteTarget[] = [];
      const readers: { all: Promise<Buffer>; socket: Socket }[] = [];
      for (let n = 0; n < 5; n += 1) {
        const [stream, socket] = await connectPair(server);
        others.push(openTarget(writer, stream));
        readers.push({ all: readToEnd(socket), socket });
      }
      const shared = pattern(8 * MEBIBYTE, 1);
      const before = Buffer.from(shared);
      for (const other of others) writer.write(other, shared);
      for (const { stream } of others) stream.end();
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
