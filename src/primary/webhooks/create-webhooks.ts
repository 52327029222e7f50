import type { App } from '../../shared/apps/app.ts';
import { AppRegistry } from '../../shared/apps/app-registry.ts';
import type { AppsFileHistory } from '../../shared/apps/apps-file-history.ts';
import { createAppStore } from '../../shared/apps/create-app-store.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/logging/log.ts';
import type { PresenceRegistry } from '../presence/registry.ts';
import { WebhookSender } from './sender.ts';
import { Webhooks } from './webhooks.ts';

/** Creates the webhooks and connects them to the presence registry. */
export function createWebhooks(options: {
  settings: Settings;
  demoApp: App | undefined;
  appsFileHistory: AppsFileHistory;
  registry: PresenceRegistry;
  log: Logger;
}): Webhooks {
  const { settings, demoApp, appsFileHistory: history, registry, log } = options;
  const store = createAppStore(settings, { history });
  const { eventWebhookTimeoutMs: timeoutMs, eventWebhookAllowPrivate: allowPrivate } = settings;
  const sender = new WebhookSender({ timeoutMs, allowPrivate, log });
  const apps = new AppRegistry({ store, demoApp, allowUnregistered: false, log });
  const webhooks = new Webhooks({
    apps,
    store,
    registry,
    sender,
    graceMs: settings.eventWebhookGraceMs,
    log,
  });
  registry.addListener(webhooks);
  return webhooks;
}
