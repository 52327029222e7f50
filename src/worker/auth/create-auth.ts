import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import type { Settings } from '../../shared/config/settings.ts';
import { FailureLog } from '../../shared/logging/failure-log.ts';
import type { Logger } from '../../shared/logging/log.ts';
import type { Stats } from '../../shared/metrics/stats.ts';
import { HttpClient } from '../../shared/net/http-client.ts';
import { AuthWebhook } from './auth-webhook.ts';
import { Authenticator } from './authenticator.ts';
import { TokenVerifier } from './token-verifier.ts';
import { VerificationKeys } from './verification-keys.ts';

const WEBHOOK_RESPONSE_MAX_BYTES = 256 * 1024;

/** The objects that authenticate clients. */
export interface Auth {
  readonly authenticator: Authenticator;
  readonly tokens: TokenVerifier;
  close(): void;
}

/** Creates the authenticator, with tokens and the auth webhooks of apps. */
export function createAuth({
  settings,
  apps,
  stats,
  log,
}: {
  settings: Settings;
  apps: AppRegistry;
  stats: Stats;
  log: Logger;
}): Auth {
  const failures = new FailureLog({ log });
  const client = new HttpClient({
    timeoutMs: settings.authWebhookTimeoutMs,
    requestsMax: settings.webhookTotalMaxInFlight,
    requestsPerAppMax: settings.authWebhookMaxInFlight,
    responseMaxBytes: WEBHOOK_RESPONSE_MAX_BYTES,
    allowPrivate: true,
  });
  const webhook = new AuthWebhook({ client, stats });
  const keys = new VerificationKeys({ jwtPublicKey: settings.jwtPublicKey });
  const tokens = new TokenVerifier({ keys, clockSkewMs: settings.tokenClockSkewMs, failures });
  const authenticator = new Authenticator({ apps, webhook, failures, tokens });
  return {
    authenticator,
    tokens,
    close: () => {
      webhook.close();
      keys.close();
    },
  };
}
