import { expect } from 'chai';
import {
  bodyIsAnnounced,
  bodyLength,
  headEnd,
  methodOf,
  pathOf,
  sidOf,
  startsLikeHttp,
} from '../../../src/primary/listeners/request-head.ts';

const SID = 'abcdefghij_-KLMNOP12';

describe('the request head', () => {
  it('is told from other protocols by its first bytes', () => {
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

  it('ends with an empty line, wherever the segments were cut', () => {
    const head = Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\nrest');
    expect(headEnd(head, 0)).to.equal(23);
    for (let cut = 0; cut <= 27; cut += 1) {
      const before = headEnd(head.subarray(0, cut), 0);
      expect(before >= 0 ? before : headEnd(head, cut), `cut at ${cut}`).to.equal(23);
    }
  });

  it('names its method', () => {
    expect(methodOf('DELETE /x HTTP/1.1')).to.equal('DELETE');
  });

  it('names its path as it was sent, without the query', () => {
    expect(pathOf('GET /a%2Fb?c=/d HTTP/1.1\r\nHost: x')).to.equal('/a%2Fb');
    expect(pathOf('GET')).to.equal('');
    expect(pathOf('GET\r\nX: /a HTTP/1.1')).to.equal('');
  });

  it('tells the length of the body only by one plain Content-Length', () => {
    const length = (...headers: string[]): number | undefined =>
      bodyLength(['POST / HTTP/1.1', ...headers].join('\r\n'));
    expect(length('Host: x')).to.equal(0);
    expect(length('Content-Length: 12', 'Host: x')).to.equal(12);
    expect(length('content-length:0')).to.equal(0);
    expect(length('CONTENT-LENGTH:\t7 \t')).to.equal(7);
    for (const headers of [
      ['Content-Length: 1', 'Content-Length: 1'],
      ['Content-Length: 1, 1'],
      ['Content-Length: +1'],
      ['Content-Length: 0x10'],
      ['Content-Length: -1'],
      ['Content-Length:'],
      ['Content-Length: 9999999999999999'],
      ['Transfer-Encoding: chunked'],
      ['Content-Length: 3', 'transfer-encoding : chunked'],
    ]) {
      expect(length(...headers), headers.join(' | ')).to.equal(undefined);
    }
  });

  it('announces a body by a length other than zero or by a transfer encoding', () => {
    const announced = (header: string): boolean => bodyIsAnnounced(`GET / HTTP/1.1\r\n${header}\r\nHost: x`);
    expect(announced('Content-Length: 1')).to.equal(true);
    expect(announced('content-length:10')).to.equal(true);
    expect(announced('Transfer-Encoding: chunked')).to.equal(true);
    expect(announced('Content-Length: 0')).to.equal(false);
    expect(announced('X-Content-Length: 5')).to.equal(false);
  });

  it('names a worker by the sid in its target, and nowhere else', () => {
    expect(sidOf(`GET /ws/demo?sid=${SID} HTTP/1.1`)).to.equal(SID);
    expect(sidOf(`GET /ws/demo?auth=x&sid=${SID}&y=1 HTTP/1.1`)).to.equal(SID);
    expect(sidOf(`GET /ws/demo?xsid=${SID} HTTP/1.1`)).to.equal(undefined);
    expect(sidOf(`GET /ws/demo?sid=${SID}z HTTP/1.1`)).to.equal(undefined);
    expect(sidOf(`GET /ws/demo HTTP/1.1\r\nCookie: sid=${SID}`)).to.equal(undefined);
    expect(sidOf(`GET /ws/demo HTTP/1.1\r\nReferer: /?sid=${SID} x`)).to.equal(undefined);
  });
});
