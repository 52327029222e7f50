import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import PusherSdk from 'pusher';
import { signatureOf } from '../../src/shared/crypto/signature.ts';

/** The app that the tests of the Pusher protocol use. */
export const PUSHER_APP = { key: '278d425bdf160c739803', id: '4242', secret: '7ad3773142a6692b25b8' };

/** A temporary apps file. */
export class AppsFile {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gusher-apps-'));
  readonly path = join(this.#folder, 'apps.json');

  /** `more` adds fields to the app. */
  constructor(more: object = {}, others: object = {}) {
    const { key, id, secret } = PUSHER_APP;
    this.write({ [key]: { id, secret, ...more }, ...others });
  }

  write(apps: object): void {
    writeFileSync(this.path, JSON.stringify({ apps }));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Creates Pusher's server SDK for Node with the address `http://host:port` or `ws://host:port`. */
export function pusherSdk(url: string, more: Partial<PusherSdk.BaseOptions> = {}): PusherSdk {
  const { hostname: host, port } = new URL(url);
  const { id: appId, key, secret } = PUSHER_APP;
  return new PusherSdk({ appId, key, secret, host, port, useTLS: false, ...more });
}

/** Signs a request target without the SDK, so that a test can make any part invalid. */
export function signedTarget(
  method: string,
  path: string,
  body: string | Buffer = '',
  {
    query = {},
    ...credentials
  }: { query?: Record<string, string>; key?: string; secret?: string; timestamp?: number } = {},
): string {
  const { key, secret, timestamp } = {
    key: PUSHER_APP.key,
    secret: PUSHER_APP.secret,
    timestamp: Math.floor(Date.now() / 1_000),
    ...credentials,
  };
  const signed: Record<string, string> = {
    ...query,
    auth_key: key,
    auth_timestamp: String(timestamp),
    auth_version: '1.0',
    ...(body.length > 0 && { body_md5: createHash('md5').update(body).digest('hex') }),
  };
  const pairs = Object.entries(signed).sort(([one], [other]) => (one < other ? -1 : 1));
  const text = `${method}\n${path}\n${pairs.map(([name, value]) => `${name}=${value}`).join('&')}`;
  const sent = new URLSearchParams([...pairs, ['auth_signature', signatureOf(secret, text)]]);
  return `${path}?${sent}`;
}
