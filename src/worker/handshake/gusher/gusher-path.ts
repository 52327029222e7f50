import { GusherError } from '../../../shared/errors/catalogue.ts';
import { percentDecode } from '../../../shared/net/percent-encoding.ts';
import { parseQueryText } from '../../../shared/net/query-text.ts';
import type { Credentials } from '../../auth/authenticator.ts';
import { isHandshake, requireHandshake } from '../handshake-fields.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';

/** The paths of native clients: the one of gusher.cluster and v1.13 with its alias, and the one of v3. */
const CLIENT_PATHS = [/^\/(?:ws|wtf)\/([^/?]+)\/?(?:\?|$)/, /^\/v1\/apps\/([^/?]+)\/ws\/?(?:\?|$)/];

/** The path segment that names the app, still percent-encoded; `undefined` if the path is not of native clients. */
export function appSegmentOf({ url = '' }: UpgradeRequest): string | undefined {
  for (const path of CLIENT_PATHS) {
    const segment = path.exec(url)?.[1];
    if (segment !== undefined) return segment;
  }
  return undefined;
}

/**
 * Parses the app key and the credential of a native client. Throws `not_found`, `bad_request`, `upgrade_required` or
 * `unknown_app`.
 */
export function readCredentials(request: UpgradeRequest): Credentials {
  const segment = appSegmentOf(request);
  if (segment === undefined) throw new GusherError('not_found');
  requireHandshake(request);
  const query = queryOf(request);
  if (query === undefined) throw new GusherError('bad_request');
  const appKey = percentDecode(segment);
  // A key that is not percent-encoding cannot be the key of an app.
  if (appKey === undefined) throw new GusherError('unknown_app');
  return {
    appKey,
    auth: query.get('auth') ?? '',
    token: query.get('token') ?? '',
    headers: request.headers,
  };
}

/** Whether the client asked for a close frame instead of an HTTP error (`?reject=close`), and can receive one. */
export function requestsCloseFrame(request: UpgradeRequest): boolean {
  return (
    appSegmentOf(request) !== undefined && isHandshake(request) && queryOf(request)?.get('reject') === 'close'
  );
}

function queryOf({ url = '' }: UpgradeRequest): ReturnType<typeof parseQueryText> {
  const mark = url.indexOf('?');
  return parseQueryText(mark < 0 ? '' : url.slice(mark + 1));
}
