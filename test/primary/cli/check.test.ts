import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Finding } from '../../../src/primary/cli/diagnosis/finding.ts';
import { runInProcess } from '../../support/command-line.ts';

const SPKI = { type: 'spki', format: 'pem' } as const;
const PKCS8 = { type: 'pkcs8', format: 'pem' } as const;

interface Report {
  readonly problem: number;
  readonly warning: number;
  readonly findings: readonly Finding[];
}

describe('gusher check', () => {
  let folder: string;
  const check = (env: Readonly<Record<string, string>> = {}, ...words: string[]) =>
    runInProcess(['check', ...words], folder, env);
  const report = async (env: Readonly<Record<string, string>> = {}): Promise<Report> =>
    JSON.parse((await check(env, '--json')).output) as Report;
  const writeApps = (apps: object): void =>
    writeFileSync(join(folder, 'gusher-apps.json'), JSON.stringify({ apps }), { mode: 0o600 });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-check-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('finds nothing wrong in an empty folder, and creates nothing', async () => {
    const { code, output } = await check();
    expect(code).to.equal(0);
    expect(output).to.contain('0 problems');
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it('reports all errors in settings with their fix, and warnings too', async () => {
    const { code, output } = await check({
      GUSHER_WORKERS: 'many',
      GUSHER_LOG_FORMAT: 'xml',
      GUSHER_LISTN: ':1',
    });
    expect(code).to.equal(1);
    expect(output).to.contain('GUSHER_WORKERS must be a whole number from 1 to 1024 (got "many")');
    expect(output).to.contain('or remove it: the default is auto.');
    expect(output).to.contain('did you mean GUSHER_LISTEN?');
    expect(output).to.contain('2 problems, 1 warning');
  });

  it('exits with 0 with a warning, and with 3 if it is strict', async () => {
    const env = { GUSHER_COLOUR: 'red' };
    expect((await check(env)).code).to.equal(0);
    expect((await check(env, '--strict')).code).to.equal(3);
  });

  it('names each app that is not served, and why', async () => {
    writeApps({
      good: { channels: ['news'] },
      bad: { url: 'ftp://x' },
      silent: { client_events: true },
      twin: { id: '7', secret: 's' },
      other: { id: '7', secret: 's' },
    });
    const { problem, findings } = await report();
    expect(problem).to.equal(3);
    const messages = findings.map((finding) => `${finding.check}: ${finding.message}`);
    expect(messages).to.include.members([
      'app bad: it is not served, because these fields are invalid: url',
      'app silent: it is not served, because its clients have no way to authenticate',
      'app twin: it has the id 7 of the app other, so its SDKs reach that app',
    ]);
    for (const finding of findings) if (finding.severity !== 'ok') expect(finding.fix).to.be.a('string');
  });

  const keys: [name: string, pem: () => string, verifies: boolean][] = [
    ['RSA with 1024 bits', () => rsa(1_024), false],
    ['RSA with 2048 bits', () => rsa(2_048), true],
    ['P-256', () => ec('prime256v1'), true],
    ['secp256k1', () => ec('secp256k1'), false],
    [
      'X25519',
      () => generateKeyPairSync('x25519', { publicKeyEncoding: SPKI, privateKeyEncoding: PKCS8 }).publicKey,
      false,
    ],
  ];
  for (const [name, pem, verifies] of keys) {
    it(`${verifies ? 'accepts' : 'rejects'} a public key of the kind ${name}`, async () => {
      writeApps({ shop: { jwt_public_key: pem() } });
      const finding = (await report()).findings.find(({ check: subject }) => subject === 'app shop');
      expect(finding?.severity).to.equal(verifies ? 'ok' : 'problem');
    });
  }

  it('warns about secrets that every user can read', async () => {
    writeApps({ shop: { id: '7', secret: 's3cr3t' } });
    expect((await report()).warning).to.equal(0);
    chmodSync(join(folder, 'gusher-apps.json'), 0o644);
    const { output } = await check();
    expect(output).to.contain('chmod o-r gusher-apps.json');
    expect(output).not.to.contain('s3cr3t');
  });

  it('names an apps file that is not JSON, and a Redis that does not respond', async () => {
    writeFileSync(join(folder, 'gusher-apps.json'), '{');
    expect((await report()).problem).to.equal(1);
    const { findings } = await report({ GUSHER_REDIS_URL: 'redis://127.0.0.1:1' });
    expect(findings.at(-1)?.message).to.match(/^Redis is not readable: /);
    expect(findings.at(-1)?.fix).to.contain('gusher doctor');
  });

  function rsa(modulusLength: number): string {
    return generateKeyPairSync('rsa', { modulusLength, publicKeyEncoding: SPKI, privateKeyEncoding: PKCS8 })
      .publicKey;
  }

  function ec(namedCurve: string): string {
    return generateKeyPairSync('ec', { namedCurve, publicKeyEncoding: SPKI, privateKeyEncoding: PKCS8 })
      .publicKey;
  }
});
