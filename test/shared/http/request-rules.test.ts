import { expect } from 'chai';
import { listElements, parseRequestHead } from '../../../src/shared/http/request-head.ts';
import { asksForWebSocket, requestError, splitTarget } from '../../../src/shared/http/request-rules.ts';

const LIMITS = { bodyMaxBytes: 100, bodiless: new Set(['GET']) };

/** Returns the error code of a request; `ok` if it is valid, `unreadable` if it violates the grammar. */
function check(line: string, ...fields: string[]): string {
  const head = parseRequestHead([line, ...fields].join('\r\n'));
  return head === undefined ? 'unreadable' : (requestError(head, LIMITS)?.code ?? 'ok');
}

describe('parseRequestHead', () => {
  it('reads method, target, version and fields as they were sent', () => {
    expect(parseRequestHead('POST /a?b HTTP/1.1\r\nHost:  x \t\r\nX-Y:\r\nX-Y: \xa0z')).to.deep.equal({
      method: 'POST',
      target: '/a?b',
      version: '1.1',
      fields: ['Host', 'x', 'X-Y', '', 'X-Y', '\xa0z'],
    });
  });

  for (const text of [
    '',
    'GET',
    'GET /',
    'GET  / HTTP/1.1',
    'GET / HTTP/1.1 ',
    'GET / HTTP/11',
    'GET / HTTP/1.1\r\nHost : x',
    'GET / HTTP/1.1\r\nHost: x\r\n folded: y',
    'GET / HTTP/1.1\r\nHost: x\r\n\tfolded',
    'GET / HTTP/1.1\r\nno colon',
    'GET / HTTP/1.1\r\n: empty name',
    'GET / HTTP/1.1\r\nX: a\0b',
    'GET / HTTP/1.1\r\nX: a\nY: b',
    'GET / HTTP/1.1\r\nX: a\rY: b',
    'G(T / HTTP/1.1\r\nHost: x',
  ]) {
    it(`rejects ${JSON.stringify(text)}`, () => {
      expect(parseRequestHead(text)).to.equal(undefined);
    });
  }
});

describe('requestError', () => {
  it('accepts one Host in HTTP/1.1, and none in HTTP/1.0', () => {
    for (const host of ['x', 'x:80', '[::1]:8000', '127.0.0.1', 'a-b.example:', '']) {
      expect(check('GET / HTTP/1.1', `Host: ${host}`), host).to.equal('ok');
    }
    expect(check('GET / HTTP/1.0')).to.equal('ok');
  });

  it('rejects a missing, a repeated and a malformed Host (RFC 9112 §3.2)', () => {
    expect(check('GET / HTTP/1.1')).to.equal('bad_request');
    expect(check('GET / HTTP/1.1', 'Host: a', 'host: a')).to.equal('bad_request');
    expect(check('GET / HTTP/1.0', 'Host: a', 'HOST: b')).to.equal('bad_request');
    for (const host of ['a b', 'user@a', 'a/b', 'a:b', 'a:80:80', '[::1', 'a?b', 'a"']) {
      expect(check('GET / HTTP/1.1', `Host: ${host}`), host).to.equal('bad_request');
    }
  });

  it('accepts a body with one framing only (RFC 9112 §6.3)', () => {
    const post = (...fields: string[]): string => check('POST / HTTP/1.1', 'Host: x', ...fields);
    expect(post('Content-Length: 100')).to.equal('ok');
    expect(post('transfer-encoding:\tChunked ')).to.equal('ok');
    expect(post('Content-Length: 101')).to.equal('body_too_large');
    for (const fields of [
      ['Content-Length: 5', 'Content-Length: 5'],
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: gzip, chunked'],
      ['Transfer-Encoding: identity'],
      ['Content-Length: +5'],
      ['Content-Length: 0x5'],
      ['Content-Length: 5, 5'],
      ['Content-Length: -1'],
      ['Content-Length:'],
      ['Content-Length: 9999999999999999'],
    ]) {
      expect(post(...fields), fields.join(' | ')).to.equal('bad_request');
    }
    expect(check('POST / HTTP/1.0', 'Transfer-Encoding: chunked')).to.equal('bad_request');
  });

  it('rejects a body of a method that has none', () => {
    expect(check('GET / HTTP/1.1', 'Host: x', 'Content-Length: 1')).to.equal('body_not_allowed');
    expect(check('GET / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked')).to.equal('body_not_allowed');
    expect(check('GET / HTTP/1.1', 'Host: x', 'Content-Length: 0')).to.equal('ok');
  });

  it('rejects targets that are neither path nor URL, other versions, and too many fields', () => {
    expect(check('GET http://a.example:80/x HTTP/1.1', 'Host: b')).to.equal('ok');
    expect(check('OPTIONS * HTTP/1.1', 'Host: b')).to.equal('ok');
    for (const target of ['*', 'x', 'a:443', 'ftp://a/', 'http:///x', 'http://u@a/']) {
      expect(check(`GET ${target} HTTP/1.1`, 'Host: b'), target).to.equal('bad_request');
    }
    expect(check('GET / HTTP/2.0', 'Host: x')).to.equal('bad_request');
    expect(check('GET / HTTP/1.1', 'Host: x', ...Array.from({ length: 200 }, () => 'a:'))).to.equal(
      'headers_too_large',
    );
  });
});

describe('splitTarget', () => {
  it('splits an absolute target (RFC 9112 §3.2.2), and returns others unchanged', () => {
    expect(splitTarget('http://a:80/b?c')).to.deep.equal({ target: '/b?c', authority: 'a:80' });
    expect(splitTarget('HTTPS://a?c')).to.deep.equal({ target: '/?c', authority: 'a' });
    expect(splitTarget('/http://a/')).to.deep.equal({ target: '/http://a/', authority: undefined });
  });
});

describe('asksForWebSocket', () => {
  const isUpgrade = (upgrade: string, key?: string, httpVersion = '1.1'): boolean =>
    asksForWebSocket({
      httpVersion,
      headers: { upgrade, ...(key !== undefined && { 'sec-websocket-key': key }) },
    });

  it('ignores other protocols and HTTP/1.0 (RFC 9110 §7.8)', () => {
    expect(isUpgrade('WebSocket')).to.equal(true);
    expect(isUpgrade('h2c, websocket', 'key')).to.equal(true);
    for (const upgrade of ['h2c', 'TLS/1.0', 'h2c, websocket', 'websocket/13', '']) {
      expect(isUpgrade(upgrade), upgrade).to.equal(false);
    }
    expect(isUpgrade('websocket', 'key', '1.0')).to.equal(false);
  });
});

describe('listElements', () => {
  it('ignores empty elements and separates nothing inside quotes', () => {
    expect(listElements(' a, ,b\t,"c,d" ,')).to.deep.equal(['a', 'b', '"c,d"']);
    expect(listElements('a; b="x;\\";y";c', ';')).to.deep.equal(['a', 'b="x;\\";y"', 'c']);
  });
});
