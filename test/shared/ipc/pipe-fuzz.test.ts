import type { Socket } from 'node:net';
import { expect } from 'chai';
import { MessagePipe } from '../../../src/shared/ipc/message-pipe.ts';
import { isToPrimary } from '../../../src/shared/ipc/message-shapes.ts';
import { messageFrame, relayFrame, TOPIC_MAX_BYTES } from '../../../src/shared/ipc/pipe-frame.ts';
import { decodeRelayFrame, encodeRelayFrame, type RelayItem } from '../../../src/shared/ipc/relay-frame.ts';
import { createStats } from '../../../src/shared/metrics/stats.ts';
import { CONTROL_TOPIC } from '../../../src/shared/model/control-message.ts';
import { eventually } from '../../support/deadline.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { socketPair } from '../../support/socket-pair.ts';

/** `GUSHER_FUZZ_FRAMES=100000` is the long run. */
const FRAMES = Number(process.env.GUSHER_FUZZ_FRAMES ?? 3_000);
const SEED = Number(process.env.GUSHER_FUZZ_SEED ?? 4_711);

/** Content that would end a frame, begin one or break its text, if any content could. */
const PIECES = [
  '\n',
  '\t',
  '{',
  '}',
  '"',
  '\\',
  '\0',
  '\u0001',
  'M\0\0\0\u0002{}',
  'I\0\0\0\u0003\0\u0001a',
  'x\n{bad\nz',
  '{"type":"fatal","reason":"forged"}\n',
  'gusher:control\t"x"\n',
  'é',
  '日',
  '😀',
  '\ud83d',
  '\ude00',
  '\u2028',
  '@',
  'shop@news',
  'x'.repeat(200),
];

type ReceivedEvent = { readonly message: unknown } | { readonly relayFrame: RelayItem };

function open(socket: Socket): {
  pipe: MessagePipe<unknown, unknown>;
  received: ReceivedEvent[];
  errors: Error[];
} {
  const received: ReceivedEvent[] = [];
  const errors: Error[] = [];
  const pipe = new MessagePipe<unknown, unknown>(socket, {
    message: (message) => void received.push({ message }),
    relayFrame: (topic, frame) => void received.push({ relayFrame: decodeRelayFrame(topic, frame) }),
    malformed: (error) => void errors.push(error),
  });
  return { pipe, received, errors };
}

describe('MessagePipe, with hostile content', () => {
  let near: Socket;
  let far: Socket;

  beforeEach(async () => {
    [near, far] = await socketPair();
  });

  afterEach(() => {
    near.destroy();
    far.destroy();
  });

  it('delivers the content unchanged in both directions, and no forged message', async () => {
    const seeded = new SeededRandom(SEED);
    const random = (limit: number): number => seeded.below(limit);
    const pick = (): string => PIECES[random(PIECES.length)] ?? '';
    const text = (): string => Array.from({ length: random(6) }, pick).join('');
    const sides = [open(near), open(far)] as const;
    const sent: [ReceivedEvent[], ReceivedEvent[]] = [[], []];
    for (let n = 0; n < FRAMES; n += 1) {
      const from = random(2) as 0 | 1;
      const { pipe } = sides[from];
      const kind = random(3);
      if (kind === 0) {
        const message = { type: text(), [text()]: [text(), n] };
        // JSON escapes lone surrogates.
        sent[from].push({ message: JSON.parse(JSON.stringify(message)) });
        pipe.enqueue(message);
      } else {
        const publication = { channel: text(), event: text(), data: JSON.stringify(text()), text: text() };
        const topic = `shop@${text()}`;
        const item: RelayItem =
          kind === 1
            ? { kind: 'publication', topic, publication }
            : { kind: 'control', topic: CONTROL_TOPIC, control: text() + n };
        // A topic is sent as UTF-8, in which lone surrogates are replaced.
        sent[from].push({
          relayFrame: item.kind === 'control' ? item : { ...item, topic: Buffer.from(topic).toString() },
        });
        pipe.enqueueFrame(random(2) === 0 ? encodeRelayFrame(item) : Buffer.from(encodeRelayFrame(item)));
      }
      if (random(20) === 0) pipe.flush();
      if (n % 1_000 === 0) await new Promise(setImmediate);
    }
    for (const { pipe } of sides) pipe.flush();
    const [[one, other], [byOne, byOther]] = [sides, sent];
    await eventually(
      () => other.received.length >= byOne.length && one.received.length >= byOther.length,
      'everything is received',
    );
    // `deep.equal` would take longer than the rest of the test.
    expect(JSON.stringify(other.received) === JSON.stringify(byOne), 'from the first side').to.equal(true);
    expect(JSON.stringify(one.received) === JSON.stringify(byOther), 'from the second side').to.equal(true);
    expect([...one.errors, ...other.errors]).to.deep.equal([]);
  });

  it('reports random bytes once, ignores everything after them, and throws nothing', () => {
    const seeded = new SeededRandom(SEED);
    const random = (limit: number): number => seeded.below(limit);
    let broken = 0;
    for (let n = 0; n < FRAMES; n += 1) {
      const { received, errors, write } = pipeWithoutSocket();
      const valid = Buffer.from(messageFrame(`{"n":${n}}`));
      const bytes = Buffer.from(Array.from({ length: 1 + random(24) }, () => random(256)));
      // Half of them begin as frames do.
      if (random(2) === 0) bytes[0] = random(2) === 0 ? 0x4d : 0x49;
      if (random(2) === 0) bytes.fill(0, 1, Math.min(4, bytes.length));
      const stream = Buffer.concat([valid, bytes, valid]);
      const cut = random(stream.length);
      write(stream.subarray(0, cut));
      write(stream.subarray(cut));
      expect(received[0]).to.deep.equal({ message: { n } });
      expect(errors.length).to.be.at.most(1);
      const before = received.length;
      if (errors.length === 0) continue;
      broken += 1;
      write(valid);
      expect(received.length).to.equal(before);
    }
    expect(broken).to.be.greaterThan(FRAMES / 4);
  });

  it('throws if a topic is longer than a reader accepts', () => {
    expect(() => relayFrame('t'.repeat(TOPIC_MAX_BYTES + 1), '1')).to.throw('topic');
  });
});

/** Creates a pipe that reads what the test writes, without a socket. */
function pipeWithoutSocket(): { received: ReceivedEvent[]; errors: Error[]; write: (bytes: Buffer) => void } {
  let read: (bytes: Buffer) => void = () => undefined;
  const socket = {
    on: (event: string, listener: (bytes: Buffer) => void) => {
      if (event === 'data') read = listener;
    },
  };
  const { received, errors } = open(socket as unknown as Socket);
  return { received, errors, write: (bytes) => read(Buffer.from(bytes)) };
}

describe('isToPrimary', () => {
  it('accepts messages of a worker, and nothing else', () => {
    const right = [
      { type: 'ready' },
      { type: 'heartbeat' },
      { type: 'heartbeat', stats: createStats() },
      { type: 'metricsQuery', id: 1, format: 'text' },
      { type: 'deliveryReportQuery', id: 1, report: 'r', topic: 'a@c' },
      {
        type: 'deliveryReportPart',
        report: 'r',
        counts: { subscribers: 1, written: 1, queued: 0, dropped: 0 },
      },
      { type: 'sockets', acknowledged: [1], barrier: 0, ended: [1], opened: ['a'], closed: [] },
      { type: 'idempotencyCompleted', key: 'k' },
      { type: 'presence', deltas: [{ app: 'a', channel: 'c', user: 'u', change: -1 }] },
      { type: 'presenceQuery', id: 1, subscribe: false, query: { kind: 'totals' } },
      { type: 'presenceQuery', id: 1, subscribe: true, query: { kind: 'user', app: 'a', user: 'u' } },
    ];
    const wrong = [
      undefined,
      null,
      1,
      'ready',
      [],
      {},
      { type: 'toString' },
      { type: '__proto__' },
      { type: 'fatal' },
      { type: 'heartbeat', stats: { connections: 1 } },
      { type: 'heartbeat', stats: { ...createStats(), deliveries: '1' } },
      { type: 'heartbeat', stats: { ...createStats(), errors: { 'close too_slow': '1' } } },
      { type: 'heartbeat', stats: { ...createStats(), authWebhook: { counts: [1], sum: 1 } } },
      { type: 'heartbeat', stats: { ...createStats(), apps: { '@a': { connections: [] } } } },
      { type: 'metricsReport', stats: createStats() },
      { type: 'metricsReport', stats: createStats(), gauges: { memory: 1 } },
      { type: 'metricsQuery', id: 1, format: 'html' },
      { type: 'deliveryReportPart', report: 'r', counts: { subscribers: 1 } },
      { type: 'sockets', acknowledged: [1] },
      { type: 'sockets', acknowledged: [1], barrier: 0, ended: 1, opened: [], closed: [] },
      { type: 'brokerStatus', status: 'lots' },
      { type: 'relaySubscribe', topics: 'shop@news' },
      { type: 'relaySubscribe', topics: [1] },
      { type: 'webhookReports', reports: [{ app: 'a', event: null }] },
      { type: 'presence', deltas: [{ app: 'a', channel: 'c', user: 'u', change: '1' }] },
      { type: 'presence', deltas: [null] },
      { type: 'presenceQuery', id: 1, subscribe: false, query: { kind: 'valueOf' } },
      { type: 'presenceQuery', id: 1, subscribe: true, query: { kind: 'totals' } },
      { type: 'presenceQuery', id: 1, subscribe: false, query: { kind: 'usersInAll', app: 'a' } },
      { type: 'presenceJoin', id: 1, join: { app: 'a', channel: 'c', max: 1 }, query: {} },
    ];
    expect(right.filter((message) => !isToPrimary(message))).to.deep.equal([]);
    expect(wrong.filter(isToPrimary)).to.deep.equal([]);
  });
});
