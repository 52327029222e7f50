import { expect } from 'chai';
import * as ws from 'ws';
import { framePong, frameText, joinFrames, PING } from '../../../src/worker/websocket/frame.ts';

/** What ws itself would put on the wire. */
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

describe('a text frame', () => {
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]) {
    it(`of ${length} bytes is byte for byte what ws makes of it`, () => {
      const text = 'x'.repeat(length);
      expect(frameText(text).bytes.equals(frameOfWs(text))).to.equal(true);
    });
  }

  it('counts bytes, not characters', () => {
    const text = '€😀'.repeat(30);
    expect(frameText(text).bytes.equals(frameOfWs(text))).to.equal(true);
    expect(frameText(text).messages[0]?.toString()).to.equal(text);
  });

  it('is joined with others in order', () => {
    const joined = joinFrames([frameText('a'), frameText('b')]);
    expect(joined.bytes.equals(Buffer.concat([frameOfWs('a'), frameOfWs('b')]))).to.equal(true);
    expect(joined.messages.map(String)).to.deep.equal(['a', 'b']);
  });

  it('alone is not copied', () => {
    const frames = frameText('a');
    expect(joinFrames([frames])).to.equal(frames);
  });
});

describe('a control frame', () => {
  it('carries its payload (RFC 6455 §5.5)', () => {
    expect([...PING.bytes]).to.deep.equal([0x89, 0]);
    expect([...framePong(Buffer.from('hi')).bytes]).to.deep.equal([0x8a, 2, 0x68, 0x69]);
  });

  it('is not lost among the messages it is joined with, for connections that compress those', () => {
    const joined = joinFrames([frameText('a'), PING, frameText('b'), framePong(Buffer.from('c'))]);
    expect(joined.messages.map(String)).to.deep.equal(['a', 'b']);
    expect(Buffer.concat(joined.controls).equals(Buffer.from([0x89, 0, 0x8a, 1, 0x63]))).to.equal(true);
  });
});
