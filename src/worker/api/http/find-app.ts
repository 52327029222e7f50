import type { App } from '../../../shared/apps/app.ts';
import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { isAppKey } from '../../../shared/model/names.ts';

/** Returns the app of a path. Rejects with `bad_app`, `no_such_app` or `app_disabled`. */
export async function findApp(apps: AppFinder, key = ''): Promise<App> {
  if (!isAppKey(key)) throw new GusherError('bad_app');
  const app = await apps.find(key);
  if (app === undefined) throw new GusherError('no_such_app');
  if (!app.enabled) throw new GusherError('app_disabled');
  return app;
}
