import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { signatureOf } from '../../../src/shared/signature.ts';
import { conformanceTarget, fresh, request, type Target } from './target.ts';

interface Wrong {
  readonly key?: string;
  readonly secret?: string;
  readonly timestamp?: number;
  readonly version?: string;
  readonly md5?: string;
  readonly signature?: string;
}

describe('Pusher: signing of the HTTP API', () => {
  let target: Target;
  const body = JSON.stringify({ name: 'e', channel: fresh(), data: '{}' });

  before(async () => {
    target = await conformanceTarget();
  });

  /** Publishes with everything right but what is said to be wrong; answers the status. */
  async function publish(wrong: Wrong = {}, sent = body, id = target.id): Promise<number> {
    const path = `/apps/${id}/events`;
    const query = [
      `auth_key=${wrong.key ?? target.key}`,
      `auth_timestamp=${wrong.timestamp ?? Math.floor(Date.now() / 1_000)}`,
      `auth_version=${wrong.version ?? '1.0'}`,
      `body_md5=${wrong.md5 ?? createHash('md5').update(body).digest('hex')}`,
    ].join('&');
    const signature =
      wrong.signature ?? signatureOf(wrong.secret ?? target.secret, `POST\n${path}\n${query}`);
    const response = await fetch(`${target.httpUrl}${path}?${query}&auth_signature=${signature}`, {
      method: 'POST',
      body: sent,
      headers: { 'Content-Type': 'application/json' },
    });
    const text = await response.text();
    // Whatever its form, an error says what is wrong.
    if (response.status >= 400) expect(text.length, 'an explanation').to.be.greaterThan(0);
    return response.status;
  }

  it('lets in who signs with the secret of the app', async () => {
    expect(await publish()).to.equal(200);
  });

  it('refuses another signature, key, secret or version', async () => {
    expect(await publish({ secret: `${target.secret}x` })).to.equal(401);
    expect(await publish({ signature: '' })).to.equal(401);
    expect(await publish({ signature: '0'.repeat(64) })).to.equal(401);
    expect(await publish({ key: `${target.key}x` })).to.equal(401);
    expect(await publish({ version: '2.0' })).to.equal(401);
  });

  it('refuses what was signed more than ten minutes ago, or is signed for later', async () => {
    const now = Math.floor(Date.now() / 1_000);
    expect(await publish({ timestamp: now - 500 })).to.equal(200);
    expect(await publish({ timestamp: now - 700 })).to.equal(401);
    expect(await publish({ timestamp: now + 700 })).to.equal(401);
  });

  it('refuses a body that was not signed', async () => {
    expect(await publish({}, body.replace('{}', '[]'))).to.equal(401);
    expect(await publish({ md5: '0'.repeat(32) })).to.equal(401);
  });

  it('answers 404 where there is no app', async () => {
    expect(await publish({}, body, '99999999')).to.equal(404);
  });

  it('checks the signature over all parameters of the query', async () => {
    const { status } = await request('GET', '/channels', {
      query: { filter_by_prefix: 'presence-', info: 'user_count' },
    });
    expect(status).to.equal(200);
  });
});
