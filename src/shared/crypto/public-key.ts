import { createPublicKey, type KeyObject } from 'node:crypto';

/** Attack: registering key after key. The oldest is read again if it is needed. */
const CACHE_MAX = 1_000;
/** What there is to remember of each text: reading a key takes longer than verifying with it. */
const cache = new Map<string, KeyObject | undefined>();

/**
 * The public key in a PEM: SPKI, PKCS#1 or a certificate. `undefined` if there is none, also if it is a private
 * key, which has no business here.
 */
export function publicKeyOf(pem: string): KeyObject | undefined {
  if (cache.has(pem)) return cache.get(pem);
  const key = read(pem);
  const [oldest] = cache.keys();
  if (cache.size >= CACHE_MAX && oldest !== undefined) cache.delete(oldest);
  cache.set(pem, key);
  return key;
}

function read(pem: string): KeyObject | undefined {
  if (pem.includes('PRIVATE KEY')) return undefined;
  try {
    return createPublicKey(pem);
  } catch {
    // No PEM means `undefined`.
    return undefined;
  }
}
