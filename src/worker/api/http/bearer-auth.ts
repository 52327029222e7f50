import { isSameText } from '../../../shared/crypto/signature.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { requireLocal } from './local-requests.ts';
import type { AuthHook } from './router.ts';

/** Accepts requests with the API token (RFC 6750). Without a configured token, accepts requests of local programs only. */
export function bearerAuth(apiToken: string | undefined): AuthHook {
  if (apiToken === undefined) return requireLocal;
  return (request, response) => {
    const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token !== undefined && isSameText(token, apiToken)) return;
    response.setHeader('WWW-Authenticate', 'Bearer');
    throw new GusherError('unauthorized');
  };
}
