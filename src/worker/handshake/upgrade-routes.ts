import { GusherError } from '../../shared/errors/catalogue.ts';
import type { Router } from '../api/http/router.ts';

/**
 * Draws the addresses of WebSocket clients as routes, for requests that are no upgrade: they learn which method and
 * protocol the address takes.
 */
export function drawUpgradeRoutes(router: Router, pusherPathPrefix: string): void {
  const native = ['/ws/:app', '/wtf/:app', '/v1/apps/:app/ws'];
  const pusher = [...new Set(['', pusherPathPrefix])].flatMap((prefix) => [
    `${prefix}/app`,
    `${prefix}/app/*`,
  ]);
  for (const path of [...native, ...pusher]) router.get(path, upgradeRequired);
}

function upgradeRequired(): never {
  throw new GusherError('upgrade_required');
}
