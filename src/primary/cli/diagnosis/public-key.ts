import { publicKeyOf } from '../../../shared/crypto/public-key.ts';
import { type Finding, ok, problem } from './finding.ts';

/** Minimum of RFC 7518 §3.3, which the verifier enforces. */
const RSA_MIN_BITS = 2_048;
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const CURE = 'Use an RSA key of 2048 bits or more, an EC key (P-256, P-384, P-521), or an Ed25519 key.';

/** Checks a public key (PEM) that verifies tokens. A key that no algorithm accepts would reject every token. */
export function checkPublicKey(check: string, pem: string): Finding {
  const key = publicKeyOf(pem);
  if (key === undefined) return problem(check, 'the public key is not a public key in PEM', CURE);
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return modulusLength < RSA_MIN_BITS
        ? problem(check, `the RSA key has ${modulusLength} bits, so every token is rejected`, CURE)
        : ok(check, `the public key is RSA with ${modulusLength} bits`);
    case 'ec':
      return CURVES.has(namedCurve)
        ? ok(check, `the public key is on the curve ${namedCurve}`)
        : problem(check, `the curve ${namedCurve} is not supported, so every token is rejected`, CURE);
    case 'ed25519':
      return ok(check, 'the public key is Ed25519');
    default:
      return problem(check, `a key of type ${key.asymmetricKeyType} verifies no token`, CURE);
  }
}
