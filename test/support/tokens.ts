import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwtPublicKey: string;
}

/** Generates a key pair for an algorithm of JWS (RFC 7518 §3.1, RFC 8037). */
export function keyPairFor(alg: string): KeyPair {
  const { privateKey, publicKey } = generate(alg);
  return {
    privateKey,
    publicKey,
    jwtPublicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

function generate(alg: string): { privateKey: KeyObject; publicKey: KeyObject } {
  const namedCurve = CURVES[alg];
  if (namedCurve !== undefined) return generateKeyPairSync('ec', { namedCurve });
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('rsa', { modulusLength: 2_048 });
}

export interface TokenOptions {
  readonly alg?: string;
  readonly kid?: string;
  /** Seconds from now. */
  readonly expiresIn?: number;
  readonly notBefore?: number;
}

/** Signs a token, as an app's backend does. */
export async function signToken(
  key: KeyObject | Uint8Array,
  gusher: object,
  { alg = algorithmOf(key), kid, expiresIn, notBefore }: TokenOptions = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  const token = new SignJWT({ gusher }).setProtectedHeader({ alg, ...(kid !== undefined && { kid }) });
  if (expiresIn !== undefined) token.setExpirationTime(now + expiresIn);
  if (notBefore !== undefined) token.setNotBefore(now + notBefore);
  return token.sign(key);
}

/** Signs any payload with an Ed25519 key, for payloads that no JWT library creates. */
export function signPayload(key: KeyObject, payload: string | Buffer): string {
  const head = Buffer.from('{"alg":"EdDSA"}').toString('base64url');
  const text = `${head}.${Buffer.from(payload).toString('base64url')}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`;
}

function algorithmOf(key: KeyObject | Uint8Array): string {
  return 'asymmetricKeyType' in key && key.asymmetricKeyType === 'ed25519' ? 'EdDSA' : 'RS256';
}

/** Generates a key pair and writes the public key to a file, for GUSHER_JWT_PUBLIC_KEY_FILE. */
export function keyFolder(): { privateKey: KeyObject; publicPath: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'gusher-keys-'));
  const publicPath = join(folder, 'public.pem');
  // EdDSA keys are the fastest to generate.
  const { privateKey, jwtPublicKey } = keyPairFor('EdDSA');
  writeFileSync(publicPath, jwtPublicKey);
  return { privateKey, publicPath, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
