import { expect } from 'chai';
import { appSegmentOf, readCredentials } from '../../../../src/worker/handshake/gusher/gusher-path.ts';
import type { UpgradeRequest } from '../../../../src/worker/handshake/upgrade-request.ts';

function requestFor(url: string, headers: Record<string, string> = {}): UpgradeRequest {
  return {
    method: 'GET',
    url,
    headers: {
      host: 'h',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'sec-websocket-version': '13',
      ...headers,
    },
  };
}

function codeOf(request: UpgradeRequest): unknown {
  try {
    return readCredentials(request);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('appSegmentOf', () => {
  const paths: [url: string, segment: string | undefined][] = [
    ['/ws/demo', 'demo'],
    ['/ws/demo/?token=t', 'demo'],
    ['/wtf/de%20mo', 'de%20mo'],
    ['/v1/apps/demo/ws', 'demo'],
    ['/v1/apps/demo/ws/x', undefined],
    ['/ws/', undefined],
    ['/ws/a/b', undefined],
    ['/x/ws/demo', undefined],
  ];
  for (const [url, segment] of paths) {
    it(`finds ${segment ?? 'no app'} in ${url}`, () => {
      expect(appSegmentOf({ url, headers: {} })).to.equal(segment);
    });
  }
});

describe('readCredentials', () => {
  it('decodes the app key and the query', () => {
    expect(readCredentials(requestFor('/ws/de%20mo?token=a%2Bb&auth=c'))).to.include({
      appKey: 'de mo',
      token: 'a+b',
      auth: 'c',
    });
  });

  it('throws the error that names the problem', () => {
    expect(codeOf(requestFor('/other'))).to.equal('not_found');
    expect(codeOf(requestFor('/ws/%zz'))).to.equal('unknown_app');
    expect(codeOf(requestFor('/ws/demo', { 'sec-websocket-key': 'short' }))).to.equal('bad_request');
    expect(codeOf(requestFor('/ws/demo', { 'sec-websocket-version': '8' }))).to.equal('upgrade_required');
    expect(codeOf({ ...requestFor('/ws/demo'), method: 'POST' })).to.equal('bad_request');
  });
});
