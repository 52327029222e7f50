import type { Apps } from '../../shared/apps/app-registry.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/log.ts';
import { Webhook } from './auth-webhook.ts';
import { WebhookComplaints } from './auth-webhook-log.ts';
import { Admission } from './authenticator.ts';
import { Tokens } from './token-verifier.ts';
import { TokenKeys } from './verification-keys.ts';

/** Whatever vouches for clients. */
export interface Auth {
  readonly admission: Admission;
  readonly tokens: Tokens;
  close(): void;
}

/** Joins tokens and the webhooks of apps to one admission. */
export function createAuth({ settings, apps, log }: { settings: Settings; apps: Apps; log: Logger }): Auth {
  const webhook = new Webhook(settings);
  const keys = new TokenKeys({ publicPem: settings.publicPem });
  const tokens = new Tokens({ keys, clockSkewMs: settings.tokenClockSkewMs });
  const admission = new Admission({ apps, webhook, complaints: new WebhookComplaints({ log }), tokens });
  return { admission, tokens, close: () => webhook.close() };
}
