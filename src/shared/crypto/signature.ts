import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/**
 * What the Pusher protocol signs with: HMAC-SHA256 under the secret of the app, in lower-case hex. The texts are
 * those of the protocol: `{socket_id}:{channel}`, a request's method, path and query, or the body of a webhook.
 */
export function signatureOf(secret: string, text: string | Buffer): string {
  return createHmac('sha256', secret).update(text).digest('hex');
}

/** Whether a signature is the right one; how long the answer takes tells nothing of how wrong it is. */
export function isSignature(claimed: string, secret: string, text: string | Buffer): boolean {
  return isSameText(claimed, signatureOf(secret, text));
}

/** Compares two texts of any lengths in a time that tells nothing of where they differ. */
export function isSameText(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other));
}

/** Equal lengths for texts of any, as the comparison needs them. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
