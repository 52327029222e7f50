import { createPublicKey, type KeyObject } from 'node:crypto';

/** Attack: apps with many keys. The oldest key is parsed again if needed. */
const CACHE_MAX = 1_000;
/** Parsed keys by PEM, because parsing costs more than verifying. */
const cache = new Map<string, KeyObject | undefined>();

/**
 * Parses a public key in PEM: SPKI, PKCS#1 or a certificate. Returns `undefined` for other text, and for private keys, which
 * an app record must not contain.
 */
export function publicKeyOf(pem: string): KeyObject | undefined {
  if (cache.has(pem)) return cache.get(pem);
  const key = parse(pem);
  const [oldest] = cache.keys();
  if (cache.size >= CACHE_MAX && oldest !== undefined) cache.delete(oldest);
  cache.set(pem, key);
  return key;
}

function parse(pem: string): KeyObject | undefined {
  if (pem.includes('PRIVATE KEY')) return undefined;
  try {
    return createPublicKey(pem);
  } catch {
    // Not a PEM.
    return undefined;
  }
}
