import { expect } from 'chai';
import type { GusherError } from '../../../../src/shared/errors/catalogue.ts';
import { requireLocal } from '../../../../src/worker/api/http/local-requests.ts';

describe('requireLocal', () => {
  function outcomeOf(headers: Record<string, string>): string {
    try {
      requireLocal({ headers });
      return 'ok';
    } catch (error) {
      return (error as GusherError).code;
    }
  }

  it('accepts local programs, with and without a port in Host', () => {
    for (const host of [
      'localhost',
      'LocalHost:8001',
      'localhost.:1',
      '127.0.0.1:8001',
      '127.8.9.10',
      '[::1]:8001',
    ]) {
      expect(outcomeOf({ host }), host).to.equal('ok');
    }
  });

  it('rejects other host names, which a page can resolve to loopback', () => {
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
      expect(outcomeOf({ host }), host).to.equal('foreign_host');
    }
  });

  it('rejects requests of pages of other origins', () => {
    const host = 'localhost:8001';
    expect(outcomeOf({ host, origin: 'http://localhost:8001', 'sec-fetch-site': 'same-origin' })).to.equal(
      'ok',
    );
    expect(outcomeOf({ host, 'sec-fetch-site': 'none' })).to.equal('ok');
    for (const headers of [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: 'http://localhost:3000' },
      { origin: 'https://localhost:8001' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'http://localhost:8001', 'sec-fetch-site': 'same-site' },
    ]) {
      expect(outcomeOf({ host, ...headers }), JSON.stringify(headers)).to.equal('foreign_origin');
    }
  });
});
