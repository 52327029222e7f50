import { GusherError } from '../../shared/errors/catalogue.ts';
import type { Router } from '../api/http/router.ts';

/** Registers the paths of WebSocket clients, so that a request without an upgrade gets 426 or 405 instead of 404. */
export function registerUpgradeRoutes(router: Router, pusherPathPrefix: string): void {
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
