import { GusherError } from '../../shared/errors/catalogue.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/** `Sec-WebSocket-Key`: 16 bytes as base64. */
const HANDSHAKE_KEY = /^[A-Za-z0-9+/]{22}==$/;

/** Whether the request has all that RFC 6455 §4.2.1 requires, in a version that gusher supports. */
export function isHandshake(request: UpgradeRequest): boolean {
  return hasHandshakeFields(request) && hasSupportedVersion(request);
}

/**
 * Throws `bad_request` (RFC 6455 §4.2.1), or `upgrade_required` for another version (§4.4). Checked before the worker
 * calls the webhook of the app.
 */
export function requireHandshake(request: UpgradeRequest): void {
  if (!hasHandshakeFields(request)) throw new GusherError('bad_request');
  if (!hasSupportedVersion(request)) throw new GusherError('upgrade_required');
}

function hasHandshakeFields({ method, headers }: UpgradeRequest): boolean {
  return (
    method === 'GET' && headers.host !== undefined && HANDSHAKE_KEY.test(headers['sec-websocket-key'] ?? '')
  );
}

function hasSupportedVersion({ headers }: UpgradeRequest): boolean {
  return headers['sec-websocket-version'] === '13';
}
