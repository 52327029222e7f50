import type { Apps } from '../../shared/apps/app-registry.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/log.ts';
import { FailureLog } from '../../shared/logging/failure-log.ts';
import { HttpClient } from '../../shared/net/http-client.ts';
import { Webhook } from './auth-webhook.ts';
import { Admission } from './authenticator.ts';
import { Tokens } from './token-verifier.ts';
import { TokenKeys } from './verification-keys.ts';

const WEBHOOK_RESPONSE_MAX_BYTES = 256 * 1024;

/** The parts that identify clients. */
export interface Auth {
  readonly admission: Admission;
  readonly tokens: Tokens;
  close(): void;
}

/** Joins tokens and the webhooks of apps to one admission. */
export function createAuth({ settings, apps, log }: { settings: Settings; apps: Apps; log: Logger }): Auth {
  const failures = new FailureLog({ log });
  const client = new HttpClient({
    timeoutMs: settings.authWebhookTimeoutMs,
    requestsMax: settings.webhookTotalMaxInFlight,
    requestsPerAppMax: settings.authWebhookMaxInFlight,
    responseMaxBytes: WEBHOOK_RESPONSE_MAX_BYTES,
    allowPrivate: true,
  });
  const webhook = new Webhook({ client });
  const keys = new TokenKeys({ jwtPublicKey: settings.jwtPublicKey });
  const tokens = new Tokens({ keys, clockSkewMs: settings.tokenClockSkewMs, failures });
  const admission = new Admission({ apps, webhook, failures, tokens });
  return {
    admission,
    tokens,
    close: () => {
      webhook.close();
      keys.close();
    },
  };
}
