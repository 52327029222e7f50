import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Returns the signature of the Pusher protocol: HMAC-SHA256 with the app secret, in lower-case hex. It signs
 * `{socket_id}:{channel}`, the method, path and query of a request, or the body of a webhook.
 */
export function signatureOf(secret: string, text: string | Buffer): string {
  return createHmac('sha256', secret).update(text).digest('hex');
}

/** Verifies a signature in constant time. */
export function isSignature(claimed: string, secret: string, text: string | Buffer): boolean {
  return isSameText(claimed, signatureOf(secret, text));
}

/** Compares two texts in a time that does not depend on their differences. */
export function isSameText(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other));
}

/** `timingSafeEqual` needs equal lengths. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
