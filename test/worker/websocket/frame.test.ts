import { expect } from 'chai';
import * as ws from 'ws';
import { framePong, frameText, joinFrames, PING } from '../../../src/worker/websocket/frame.ts';

/** The bytes that ws itself would write. */
function frameOfWs(text: string): Buffer {
  type Framer = { frame(data: Buffer, options: object): Buffer[] };
  const { Sender } = ws as unknown as { Sender: Framer };
  const parts = Sender.frame(Buffer.from(text), {
    fin: true,
    opcode: 1,
    mask: false,
    readOnly: true,
    rsv1: false,
  });
  return Buffer.concat(parts);
}

describe('frameText and joinFrames', () => {
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]) {
    it(`frame ${length} bytes exactly like ws`, () => {
      const text = 'x'.repeat(length);
      expect(frameText(text).bytes.equals(frameOfWs(text))).to.equal(true);
    });
  }

  it('count bytes, not characters', () => {
    const text = '€😀'.repeat(30);
    expect(frameText(text).bytes.equals(frameOfWs(text))).to.equal(true);
    expect(frameText(text).messages[0]?.toString()).to.equal(text);
  });

  it('join frames in order', () => {
    const joined = joinFrames([frameText('a'), frameText('b')]);
    expect(joined.bytes.equals(Buffer.concat([frameOfWs('a'), frameOfWs('b')]))).to.equal(true);
    expect(joined.messages.map(String)).to.deep.equal(['a', 'b']);
  });

  it('return a single frame without a copy', () => {
    const frames = frameText('a');
    expect(joinFrames([frames])).to.equal(frames);
  });
});

describe('framePong', () => {
  it('carries its payload (RFC 6455 §5.5)', () => {
    expect([...PING.bytes]).to.deep.equal([0x89, 0]);
    expect([...framePong(Buffer.from('hi')).bytes]).to.deep.equal([0x8a, 2, 0x68, 0x69]);
  });

  it('keeps control frames apart from messages for connections with compression', () => {
    const joined = joinFrames([frameText('a'), PING, frameText('b'), framePong(Buffer.from('c'))]);
    expect(joined.messages.map(String)).to.deep.equal(['a', 'b']);
    expect(Buffer.concat(joined.controls).equals(Buffer.from([0x89, 0, 0x8a, 1, 0x63]))).to.equal(true);
  });
});
