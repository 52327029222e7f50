import type { Settings } from '../config/settings.ts';
import type { InvalidAppHandler } from './app.ts';
import type { AppStore } from './app-store.ts';
import type { AppsFileHistory } from './apps-file-history.ts';
import { FileAppStore } from './file-app-store.ts';
import { RedisAppStore } from './redis-app-store.ts';

/** Creates the app store: Redis if configured, else the apps file. */
export function createAppStore(
  settings: Pick<Settings, 'redisUrl' | 'redisPrefix' | 'appsFile'>,
  options: { onInvalidApp?: InvalidAppHandler | undefined; history?: AppsFileHistory } = {},
): AppStore {
  const { onInvalidApp, history } = options;
  const { redisUrl, redisPrefix, appsFile } = settings;
  if (redisUrl === undefined) return new FileAppStore(appsFile, onInvalidApp, history);
  return new RedisAppStore({ url: redisUrl, prefix: redisPrefix, onInvalidApp });
}
