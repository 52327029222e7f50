import { expect } from 'chai';
import { ERRORS, type ErrorCode } from '../../src/shared/errors/catalogue.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { sendRaw } from '../support/raw-http.ts';

const TOKEN = 'a-token-for-the-tests';
const HANDSHAKE = {
  Host: 'localhost',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const PUBLISH = '/v1/apps/demo/channels/news/messages';

/** Builds a request whose response closes the connection. */
function request(
  line: string,
  headers: Readonly<Record<string, string>> = { Host: 'localhost' },
  body = '',
): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

function handshake(target: string, changes: Readonly<Record<string, string>> = {}): string {
  return request(`GET ${target}`, { ...HANDSHAKE, ...changes });
}

function without(name: keyof typeof HANDSHAKE): string {
  const { [name]: _gone, ...headers } = HANDSHAKE;
  return request('GET /ws/demo', headers);
}

function api(line: string, headers: Readonly<Record<string, string>> = {}, body = ''): string {
  return request(line, { Host: 'localhost', Connection: 'close', ...headers }, body);
}

function publishing(body: string, path = PUBLISH, token = TOKEN): string {
  const length = String(Buffer.byteLength(body));
  return api(`POST ${path}`, { Authorization: `Bearer ${token}`, 'Content-Length': length }, body);
}

/** Requests to the public port, and their error codes. */
const TO_CLIENT_PORT: readonly [what: string, text: string, code: ErrorCode][] = [
  ['other protocols', 'hello gusher\r\n\r\n', 'bad_request'],
  ['an invalid HTTP version', 'GET /ws/demo HTTP/9.9\r\n\r\n', 'bad_request'],
  ['a handshake without a key', without('Sec-WebSocket-Key'), 'bad_request'],
  ['a handshake with a bad key', handshake('/ws/demo', { 'Sec-WebSocket-Key': 'short' }), 'bad_request'],
  ['a handshake without a version', without('Sec-WebSocket-Version'), 'upgrade_required'],
  [
    'a handshake of an old version',
    handshake('/ws/demo', { 'Sec-WebSocket-Version': '7' }),
    'upgrade_required',
  ],
  ['a handshake without a host', without('Host'), 'bad_request'],
  [
    'an upgrade to something else',
    handshake('/ws/demo', { Upgrade: 'h2c', Connection: 'Upgrade, close' }),
    'upgrade_required',
  ],
  ['a bad subprotocol', handshake('/ws/demo', { 'Sec-WebSocket-Protocol': 'a b' }), 'bad_request'],
  ['an unknown app', handshake('/ws/nope'), 'unknown_app'],
  ['an app key that cannot be', handshake('/ws/%00'), 'unknown_app'],
  ['an app key that cannot be decoded', handshake('/ws/%zz'), 'unknown_app'],
  ['an unknown path', handshake('/elsewhere', { Connection: 'Upgrade, close' }), 'not_found'],
  ['no upgrade', api('GET /ws/demo'), 'upgrade_required'],
  ['another method', api('DELETE /ws/demo'), 'method_not_allowed'],
  ['an API request', publishing('{"event":"e"}'), 'api_port_only'],
  ['an API request', api('GET /stats'), 'api_port_only'],
  ['an extra slash', api('GET //app/demo'), 'empty_segment'],
  ['a body', request('GET /ws/demo', { 'Content-Length': '5' }, 'hello'), 'body_not_allowed'],
  ['a long head', handshake('/ws/demo', { 'X-Long': 'x'.repeat(10_000) }), 'headers_too_large'],
];

const TO_API_PORT: readonly [what: string, text: string, code: ErrorCode][] = [
  ['other protocols', 'hello gusher\r\n\r\n', 'bad_request'],
  ['a request without a host', request('GET /healthz', { Connection: 'close' }), 'bad_request'],
  ['a long head', api('GET /healthz', { 'X-Long': 'x'.repeat(20_000) }), 'headers_too_large'],
  ['an unknown path', api('GET /nothing'), 'not_found'],
  ['a WebSocket', handshake('/ws/demo', { Connection: 'Upgrade, close' }), 'public_port_only'],
  ['a Pusher client', handshake('/app/demo', { Connection: 'Upgrade, close' }), 'public_port_only'],
  ['a path without its version', api('GET /stats'), 'version_missing'],
  ['an extra slash', api('GET /v1//apps'), 'empty_segment'],
  ['two hosts', 'GET /up HTTP/1.1\r\nHost: a\r\nHost: a\r\nConnection: close\r\n\r\n', 'bad_request'],
  ['an address that cannot be decoded', api('GET /v1/apps/%zz'), 'bad_request'],
  ['another method', api('DELETE /healthz'), 'method_not_allowed'],
  ['a request to a proxy', api('CONNECT elsewhere:443'), 'method_not_allowed'],
  ['no token', api(`POST ${PUBLISH}`), 'unauthorized'],
  ['a wrong token', publishing('{}', PUBLISH, `${TOKEN}x`), 'unauthorized'],
  ['a body that is not JSON', publishing('news'), 'bad_body'],
  ['a body that is not an object', publishing('[]'), 'bad_body'],
  ['no body', publishing(''), 'bad_body'],
  ['no event', publishing('{"data":1}'), 'bad_event'],
  [
    'a body beyond the limit',
    publishing(JSON.stringify({ event: 'e', data: 'x'.repeat(13_000) })),
    'body_too_large',
  ],
  ['an unknown app', publishing('{"event":"e"}', '/v1/apps/no/channels/c/messages'), 'no_such_app'],
  ['an app key that cannot be', publishing('{"event":"e"}', '/v1/apps/%40/channels/c/messages'), 'bad_app'],
  [
    'a channel that cannot be',
    publishing('{"event":"e"}', '/v1/apps/demo/channels/%07/messages'),
    'bad_channel',
  ],
];

describe('HTTP errors', () => {
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({
      workers: 1,
      env: { GUSHER_API_TOKEN: TOKEN, GUSHER_BODY_MAX_BYTES: '12288' },
    });
  });

  after(async () => {
    await gusher.stop();
  });

  async function expectError(port: number, text: string, code: ErrorCode): Promise<void> {
    const { status, headers, body } = await sendRaw(port, text);
    const received = JSON.parse(body) as { error: { code: string; message: string } };
    expect(received.error.code).to.equal(code);
    // The message may end with a detail.
    expect(received.error.message.startsWith(ERRORS[code].message), received.error.message).to.equal(true);
    expect(status).to.equal(ERRORS[code].http);
    expect(headers['content-type']).to.equal('application/json; charset=utf-8');
  }

  for (const [what, text, code] of TO_CLIENT_PORT) {
    it(`include ${code} for ${what} on the public port`, () => expectError(gusher.port, text, code));
  }

  for (const [what, text, code] of TO_API_PORT) {
    it(`include ${code} for ${what} on the API port`, () =>
      expectError(Number(new URL(gusher.api).port), text, code));
  }

  it('name the authentication scheme (RFC 9110 §11.6.1) and the allowed methods (§15.5.6)', async () => {
    const port = Number(new URL(gusher.api).port);
    expect((await sendRaw(port, api(`POST ${PUBLISH}`))).headers['www-authenticate']).to.equal('Bearer');
    expect((await sendRaw(port, api('DELETE /healthz'))).headers.allow).to.equal('GET, HEAD');
  });

  it('do not affect requests that need no token', async () => {
    const port = Number(new URL(gusher.api).port);
    for (const path of ['/healthz', '/readyz', '/version']) {
      expect((await sendRaw(port, api(`GET ${path}`))).status, path).to.equal(200);
    }
  });
});
