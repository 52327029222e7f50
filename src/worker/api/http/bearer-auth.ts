import { createHash, timingSafeEqual } from 'node:crypto';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { requireLocal } from './local-requests.ts';
import type { AuthHook } from './router.ts';

/** Permits requests that present the API token. Without a token, those that no web page has caused. */
export function bearerAuth(apiToken: string | undefined): AuthHook {
  if (apiToken === undefined) return requireLocal;
  const expected = digest(apiToken);
  return (request, response) => {
    const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token !== undefined && timingSafeEqual(digest(token), expected)) return;
    response.setHeader('WWW-Authenticate', 'Bearer');
    throw new GusherError('unauthorized');
  };
}

/** Equal lengths, so that a comparison tells nothing of the token. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
