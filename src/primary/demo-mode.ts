import { basename } from 'node:path';
import { type App, DEMO_APP } from '../shared/apps/app.ts';
import type { AppStore } from '../shared/apps/app-store.ts';
import type { AppsFileHistory } from '../shared/apps/apps-file-history.ts';
import { createAppStore } from '../shared/apps/create-app-store.ts';
import { SETTINGS, type SettingName, type Settings } from '../shared/config/settings.ts';
import type { Logger } from '../shared/logging/log.ts';
import { formatAddress, isLoopback, parseAddress, reachableFromHere } from '../shared/net/address.ts';

const CHECK_MS = 500;
const DEMO_LISTEN = parseAddress('127.0.0.1:8000');

/**
 * Chooses demo mode if no app is registered and only clients on this machine can connect. Then the app `demo` accepts
 * every client until the first app is registered. Without an address and without Redis, gusher listens on loopback.
 */
export async function chooseDemo(
  settings: Settings,
  given: ReadonlySet<SettingName>,
  options: { history: AppsFileHistory; log: Logger },
): Promise<{ settings: Settings; demoApp: App | undefined }> {
  const isUnconfigured = !given.has('listen') && settings.redisUrl === undefined;
  const listen = isUnconfigured ? DEMO_LISTEN : settings.listen;
  if (!isLoopback(listen) || (await mayHaveApps(settings, options))) return { settings, demoApp: undefined };
  return { settings: { ...settings, listen }, demoApp: DEMO_APP };
}

/**
 * Checks for the first registered app, and calls `onEnd` once when one exists. The demo app must end then: it accepts
 * every client, and a proxy may forward remote clients to this machine.
 */
export class DemoWatch {
  readonly #store: AppStore;
  readonly #onEnd: () => void;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #isChecking = false;

  constructor(options: { settings: Settings; history: AppsFileHistory; onEnd: () => void; log: Logger }) {
    const { settings, history } = options;
    this.#store = createAppStore(settings, { history });
    this.#onEnd = options.onEnd;
    this.#log = options.log;
    this.#timer = setInterval(() => void this.#check(), CHECK_MS);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#store.close();
  }

  async #check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      if ((await this.#store.list()).length === 0) return;
      clearInterval(this.#timer);
      this.#log.info({ event: 'demo_ended' }, 'demo app ended: an app was registered');
      this.#onEnd();
    } catch {
      // The store is unavailable. The workers log that, and the next check follows soon.
    } finally {
      this.#isChecking = false;
    }
  }
}

/** True if the store cannot be read: the demo app would accept every client of a real installation. */
async function mayHaveApps(
  settings: Settings,
  { history, log }: { history: AppsFileHistory; log: Logger },
): Promise<boolean> {
  const store = createAppStore(settings, { history });
  try {
    return (await store.list()).length > 0;
  } catch (error) {
    log.warn({ event: 'apps_unreadable', reason: (error as Error).message }, 'app store not readable yet');
    return true;
  } finally {
    await store.close();
  }
}

/** Returns a text with commands to paste into other terminals. */
export function demoLines({ listen, apiListen, apiToken }: Settings): string {
  const key = DEMO_APP.key;
  const command = commandName();
  const [clientAddress, apiAddress] = [reachableFromHere(listen), reachableFromHere(apiListen)];
  // The other terminals have neither the flags nor the folder of this process.
  const listenFlag = clientAddress === reachableFromHere(DEMO_LISTEN) ? '' : ` --listen ${clientAddress}`;
  const apiListenFlag =
    apiAddress === reachableFromHere(SETTINGS.apiListen.fallback) ? '' : ` --api-listen ${apiAddress}`;
  // The token itself would stay in logs and in the shell history.
  const withToken = apiToken === undefined ? '' : ' -H "Authorization: Bearer $GUSHER_API_TOKEN"';
  const hint = apiToken === undefined ? '' : ' (with GUSHER_API_TOKEN set)';
  return `
gusher is listening on ${formatAddress(listen)}, its API on ${formatAddress(apiListen)}.
No app is registered, so you can try the app "${key}". In a second terminal:

  ${command} subscribe news${listenFlag}

and in a third${hint}:

  ${command} publish news hello '{"text":"it works"}'${apiListenFlag}

or with any WebSocket client, and curl:

  ws://${clientAddress}/ws/${key}    then send  {"event":"gusher.subscribe","data":{"channel":"news"}}
  curl${withToken} -d '{"event":"hello","data":{"text":"it works"}}' http://${apiAddress}/v1/apps/${key}/channels/news/messages

Your own app: ${command} apps add my-app --url http://127.0.0.1:3000/auth
`;
}

/**
 * Returns the command that runs gusher in another terminal. An installed gusher is on the PATH. In the checkout, `npx` finds
 * it; elsewhere, `npx` would ask the registry for a package of that name.
 */
function commandName(): string {
  const isInstalled = basename(process.argv[1] ?? '') === 'gusher' && process.env.npm_command === undefined;
  return isInstalled ? 'gusher' : 'npx gusher';
}
