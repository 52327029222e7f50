import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect } from 'chai';
import { readUpgradeRequest } from '../../../src/worker/handshake/upgrade-request.ts';

const REQUEST_LINE = 'GET /ws/demo?auth=a%20b HTTP/1.1';
const FIELDS = [
  'Host: localhost:8000',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
];
const headOf = (...lines: string[]): string => lines.join('\r\n');

describe('readUpgradeRequest', () => {
  const plain = [
    [
      'a request of a browser',
      headOf(REQUEST_LINE, ...FIELDS, 'Origin: http://a.example', 'Cookie: a=1; b=2'),
    ],
    [
      'with odd case and space',
      headOf(REQUEST_LINE, ...FIELDS.map((field) => field.replace(': ', ':\t ')), 'X:'),
    ],
    [
      'with several connection options',
      headOf(REQUEST_LINE, ...FIELDS).replace('Connection: Upgrade', 'CONNECTION: keep-alive , upgrade'),
    ],
    ['with Latin-1 in a value', headOf(REQUEST_LINE, ...FIELDS, 'X-Name: \xa0J\xfcrgen\xa0 ')],
    [
      'with a name of every kind of token character',
      headOf(REQUEST_LINE, ...FIELDS, "x!#$%&'*+-.^_`|~9: v "),
    ],
  ] as const;

  // Node's own parser is the reference.
  let server: ReturnType<typeof createServer>;

  before(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  after(() => server.close());

  const readByNode = async (head: string): Promise<IncomingMessage> => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write(`${head}\r\n\r\n`, 'latin1');
    const [request, other] = (await once(server, 'upgrade')) as [IncomingMessage, { destroy(): void }];
    other.destroy();
    socket.destroy();
    return request;
  };

  for (const [name, head] of plain) {
    it(`parses like Node: ${name}`, async () => {
      const { method, httpVersion, url, headers } = await readByNode(head);
      expect(readUpgradeRequest(head)).to.deep.equal({ method, httpVersion, url, headers: { ...headers } });
    });
  }

  const leftToNode = [
    ['another method', headOf(REQUEST_LINE, ...FIELDS).replace('GET', 'POST')],
    ['another version', headOf(REQUEST_LINE, ...FIELDS).replace('1.1', '1.0')],
    ['no path', headOf(REQUEST_LINE, ...FIELDS).replace('/ws', 'http://a/ws')],
    ['a space in the target', headOf(REQUEST_LINE, ...FIELDS).replace('auth', 'au th')],
    ['a byte beyond ASCII in the target', headOf(REQUEST_LINE, ...FIELDS).replace('auth', 'a\xfcth')],
    ['no host', headOf(REQUEST_LINE, ...FIELDS.slice(1))],
    ['no upgrade', headOf(REQUEST_LINE, FIELDS[0] ?? '', ...FIELDS.slice(2))],
    ['another upgrade', headOf(REQUEST_LINE, ...FIELDS).replace('websocket', 'h2c')],
    [
      'an upgrade that is no connection option',
      headOf(REQUEST_LINE, ...FIELDS).replace('n: Upgrade', 'n: upgraded'),
    ],
    ['a repeated field', headOf(REQUEST_LINE, ...FIELDS, 'host: other')],
    ['a folded field', headOf(REQUEST_LINE, ...FIELDS, 'X: a', ' b')],
    ['a name with a space before the colon', headOf(REQUEST_LINE, ...FIELDS, 'X : a')],
    ['a field without a colon', headOf(REQUEST_LINE, ...FIELDS, 'nothing')],
    ['an empty name', headOf(REQUEST_LINE, ...FIELDS, ': a')],
    ['a bare line feed', headOf(REQUEST_LINE, ...FIELDS, 'X: a\nY: b')],
    ['a bare carriage return', headOf(REQUEST_LINE, ...FIELDS, 'X: a\rY: b')],
    ['a null byte', headOf(REQUEST_LINE, ...FIELDS, 'X: \0')],
    ['a body', headOf(REQUEST_LINE, ...FIELDS, 'Content-Length: 0')],
    ['chunks', headOf(REQUEST_LINE, ...FIELDS, 'Transfer-Encoding: chunked')],
    ['an expectation', headOf(REQUEST_LINE, ...FIELDS, 'Expect: 100-continue')],
    ['nothing at all', ''],
  ] as const;

  for (const [name, head] of leftToNode) {
    it(`leaves a request to Node with ${name}`, () => {
      expect(readUpgradeRequest(head)).to.equal(undefined);
    });
  }

  it('accepts fields with the names of object properties', () => {
    const request = readUpgradeRequest(headOf(REQUEST_LINE, ...FIELDS, '__proto__: a', 'constructor: b'));
    expect(Object.entries(request?.headers ?? {})).to.deep.include.members([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });
});
