import { expect } from 'chai';
import type { GusherError } from '../../../../src/shared/errors/catalogue.ts';
import { requireLocal } from '../../../../src/worker/api/http/local-requests.ts';

describe('requireLocal', () => {
  function judge(headers: Record<string, string>): string {
    try {
      requireLocal({ headers });
      return 'ok';
    } catch (error) {
      return (error as GusherError).code;
    }
  }

  it('accepts programs that name this machine, with and without a port', () => {
    for (const host of [
      'localhost',
      'LocalHost:8001',
      'localhost.:1',
      '127.0.0.1:8001',
      '127.8.9.10',
      '[::1]:8001',
    ]) {
      expect(judge({ host }), host).to.equal('ok');
    }
  });

  it('refuses other names, which a page can point at this machine', () => {
    for (const host of [
      '',
      'evil.example',
      'localhost.evil.example:8001',
      '127.0.0.1.evil.example',
      '128.0.0.1',
      '0.0.0.0',
      '[::2]',
      '[::1',
      'evil.example:127.0.0.1',
    ]) {
      expect(judge({ host }), host).to.equal('foreign_host');
    }
  });

  it('refuses what a page of another origin has sent', () => {
    const host = 'localhost:8001';
    expect(judge({ host, origin: 'http://localhost:8001', 'sec-fetch-site': 'same-origin' })).to.equal('ok');
    expect(judge({ host, 'sec-fetch-site': 'none' })).to.equal('ok');
    for (const headers of [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: 'http://localhost:3000' },
      { origin: 'https://localhost:8001' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'http://localhost:8001', 'sec-fetch-site': 'same-site' },
    ]) {
      expect(judge({ host, ...headers }), JSON.stringify(headers)).to.equal('foreign_origin');
    }
  });
});
