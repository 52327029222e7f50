import { expect } from 'chai';
import { headEnd, sidOf, startsLikeHttp } from '../../../src/primary/listeners/request-head.ts';

const SID = 'abcdefghij_-KLMNOP12';

describe('the checks of a request head', () => {
  it('detect other protocols by their first bytes', () => {
    for (const text of ['G', 'GET', 'GET ', 'GET / HTTP/1.1\r\n', 'OPTIONS * HTTP/1.1']) {
      expect(startsLikeHttp(Buffer.from(text)), text).to.equal(true);
    }
    for (const text of [
      '\x16\x03\x01',
      'get /',
      '{"event"',
      ' GET',
      '\r\n',
      'ABCDEFGHIJKLMNOPQRSTUVW',
      'GET\x00',
    ]) {
      expect(startsLikeHttp(Buffer.from(text)), text).to.equal(false);
    }
  });

  it('find the end of the head, wherever the segments are cut', () => {
    const head = Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\nrest');
    expect(headEnd(head, 0)).to.equal(23);
    for (let cut = 0; cut <= 27; cut += 1) {
      const before = headEnd(head.subarray(0, cut), 0);
      expect(before >= 0 ? before : headEnd(head, cut), `cut at ${cut}`).to.equal(23);
    }
  });

  it('find the sid in the query of the target', () => {
    expect(sidOf(`/ws/demo?sid=${SID}`)).to.equal(SID);
    expect(sidOf(`/ws/demo?auth=x&sid=${SID}&y=1`)).to.equal(SID);
    expect(sidOf(`/ws/demo?sid=${SID}#part`)).to.equal(SID);
    expect(sidOf(`/ws/demo?sid=short&sid=${SID}`)).to.equal(SID);
    expect(sidOf(`/ws/demo?xsid=${SID}`)).to.equal(undefined);
    expect(sidOf(`/ws/demo?sid=${SID}z`)).to.equal(undefined);
    expect(sidOf(`/ws/sid=${SID}`)).to.equal(undefined);
    expect(sidOf(`/ws/demo#?sid=${SID}`)).to.equal(undefined);
  });
});
