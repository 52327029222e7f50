import { type App, DEMO_APP } from '../shared/apps/app.ts';
import type { AppStore } from '../shared/apps/app-store.ts';
import { createAppStore } from '../shared/apps/create-app-store.ts';
import { SETTINGS, type SettingName, type Settings } from '../shared/config/settings.ts';
import type { Logger } from '../shared/log.ts';
import { formatAddress, isLoopback, parseAddress, reachableFromHere } from '../shared/net/address.ts';

const DEMO_LOOK_MS = 500;
const DEMO_LISTEN = parseAddress('127.0.0.1:8000');

/**
 * Decides whether this is a first try: no app is registered anywhere and clients can only come from this
 * machine. Then there is an app `demo` that lets everybody in, until the first app is registered. Where neither an
 * address nor Redis was named, a first try stays on loopback by itself.
 */
export async function chooseDemo(
  settings: Settings,
  given: ReadonlySet<SettingName>,
  log: Logger,
): Promise<{ settings: Settings; demoApp: App | undefined }> {
  const unconfigured = !given.has('listen') && settings.redisUrl === undefined;
  const listen = unconfigured ? DEMO_LISTEN : settings.listen;
  if (!isLoopback(listen) || (await hasApps(settings, log))) return { settings, demoApp: undefined };
  return { settings: { ...settings, listen }, demoApp: DEMO_APP };
}

/**
 * Looks for the first registered app, and calls `ended` once when there is one. The demo app must not outlive it: it
 * admits everybody, and a proxy may bring strangers to this machine.
 */
export class DemoWatch {
  readonly #store: AppStore;
  readonly #ended: () => void;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #isLooking = false;

  constructor(options: { settings: Settings; ended: () => void; log: Logger }) {
    this.#store = createAppStore(options.settings);
    this.#ended = options.ended;
    this.#log = options.log;
    this.#timer = setInterval(() => void this.#look(), DEMO_LOOK_MS);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#store.close();
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      if ((await this.#store.list()).length === 0) return;
      clearInterval(this.#timer);
      this.#log.info({ event: 'demo_ended' }, 'demo app ended: an app was registered');
      this.#ended();
    } catch {
      // The store cannot be read at the moment; workers log that, and the next look is soon.
    } finally {
      this.#isLooking = false;
    }
  }
}

async function hasApps(settings: Settings, log: Logger): Promise<boolean> {
  const store = createAppStore(settings);
  try {
    return (await store.list()).length > 0;
  } catch (error) {
    // Not knowing is no licence to let everybody in.
    log.warn({ event: 'apps_unreadable', reason: (error as Error).message }, 'app store not readable yet');
    return true;
  } finally {
    await store.close();
  }
}

/** What a person pastes into other terminals to see a message arrive. */
export function demoLines({ listen, apiListen, apiToken }: Settings): string {
  const key = DEMO_APP.key;
  const [clientAddress, apiAddress] = [reachableFromHere(listen), reachableFromHere(apiListen)];
  // Pasted elsewhere, the commands know nothing of the flags and the folder of this one.
  const listenFlag = clientAddress === reachableFromHere(DEMO_LISTEN) ? '' : ` --listen ${clientAddress}`;
  const apiListenFlag =
    apiAddress === reachableFromHere(SETTINGS.apiListen.fallback) ? '' : ` --api-listen ${apiAddress}`;
  // The token itself would stay in logs and histories.
  const withToken = apiToken === undefined ? '' : ' -H "Authorization: Bearer $GUSHER_API_TOKEN"';
  const hint = apiToken === undefined ? '' : ' (with GUSHER_API_TOKEN set)';
  return `
gusher is listening on ${formatAddress(listen)}, its API on ${formatAddress(apiListen)}.
No app is registered, so there is an app "${key}" for a try. In a second terminal:

  npx gusher subscribe news${listenFlag}

and in a third${hint}:

  npx gusher publish news hello '{"text":"it works"}'${apiListenFlag}

or with any WebSocket client, and curl:

  ws://${clientAddress}/ws/${key}    then send  {"event":"gusher.subscribe","data":{"channel":"news"}}
  curl${withToken} -d '{"event":"hello","data":{"text":"it works"}}' http://${apiAddress}/v1/apps/${key}/channels/news/messages

Your own app: npx gusher apps add my-app --url http://127.0.0.1:3000/auth
`;
}
