import { expect } from 'chai';
import { requestForWs } from '../../../src/worker/handshake/ws-request.ts';

describe('requestForWs', () => {
  const offersIn = (field: string): string | undefined =>
    requestForWs({ headers: { upgrade: 'websocket', 'sec-websocket-extensions': field } }).headers[
      'sec-websocket-extensions'
    ];

  it('declines offers of permessage-deflate with unknown parameters, and keeps the others (RFC 7692 §5.1)', () => {
    expect(offersIn('permessage-deflate; foo, permessage-deflate')).to.equal('permessage-deflate');
    expect(offersIn('x-other; a=1, permessage-deflate; client_max_window_bits')).to.equal(
      'permessage-deflate; client_max_window_bits',
    );
    for (const offer of [
      'permessage-deflate; server_max_window_bits',
      'permessage-deflate; server_max_window_bits=8',
      'permessage-deflate; client_max_window_bits=16',
      'permessage-deflate; client_max_window_bits=08',
      'permessage-deflate; server_no_context_takeover=1',
      'permessage-deflate; client_no_context_takeover; client_no_context_takeover',
      'deflate-frame',
      ' , ,',
    ]) {
      expect(offersIn(offer), offer).to.equal(undefined);
    }
    expect(offersIn('permessage-deflate; server_max_window_bits="10"')).to.equal(
      'permessage-deflate; server_max_window_bits="10"',
    );
  });

  it('keeps a field that violates the grammar, so that ws fails the handshake', () => {
    expect(offersIn('permessage-deflate; (')).to.equal('permessage-deflate; (');
  });

  it('removes empty elements of the subprotocols, and other protocols in Upgrade', () => {
    const { headers } = requestForWs({
      headers: { upgrade: 'h2c, websocket', 'sec-websocket-protocol': ' ', 'x-other': '1' },
    });
    expect(headers.upgrade).to.equal('websocket');
    expect(headers['sec-websocket-protocol']).to.equal(undefined);
    expect(headers['x-other']).to.equal('1');
    const other = requestForWs({ headers: { 'sec-websocket-protocol': 'a,, b' } });
    expect(other.headers['sec-websocket-protocol']).to.equal('a, b');
  });
});
