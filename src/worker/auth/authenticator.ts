import type { IncomingHttpHeaders } from 'node:http';
import type { App } from '../../shared/apps/app.ts';
import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import type { FailureLog } from '../../shared/logging/failure-log.ts';
import { requireAdmissible } from './app-guards.ts';
import { type AuthWebhook, AuthWebhookError } from './auth-webhook.ts';
import type { Identity } from './identity.ts';
import type { TokenVerifier } from './token-verifier.ts';

/** Who asks to be let in, and with what. */
export interface Credentials {
  readonly appKey: string;
  /** The value of `?auth=`; empty is none. */
  readonly auth: string;
  /** The value of `?token=`; empty is none. */
  readonly token: string;
  /** Of its request: what the guards of the app look at. */
  readonly headers: IncomingHttpHeaders;
}

/** A client that may come in. */
export interface AuthResult extends Identity {
  readonly app: App;
}

/** Decides who is let in to which app, and with what grants. */
export class Authenticator {
  readonly #apps: Pick<AppRegistry, 'find'>;
  readonly #webhook: Pick<AuthWebhook, 'identify'>;
  readonly #failures: Pick<FailureLog, 'note'>;
  readonly #tokens: Pick<TokenVerifier, 'identify' | 'supports'>;

  constructor(options: {
    apps: Pick<AppRegistry, 'find'>;
    webhook: Pick<AuthWebhook, 'identify'>;
    failures: Pick<FailureLog, 'note'>;
    tokens: Pick<TokenVerifier, 'identify' | 'supports'>;
  }) {
    this.#apps = options.apps;
    this.#webhook = options.webhook;
    this.#failures = options.failures;
    this.#tokens = options.tokens;
  }

  /**
   * Rejects with a `GusherError` whoever is not let in. A token is verified, any other credential is asked of the
   * app's webhook. Without one the app's own `channels` are granted; so they are when the app has nothing that
   * could check it, since it then gives nothing that everybody else does not get too.
   */
  async authenticate({ appKey, auth, token, headers }: Credentials): Promise<AuthResult> {
    const app = await this.#apps.find(appKey);
    if (app === undefined) throw new GusherError('unknown_app');
    requireAdmissible(app, headers);
    if (token !== '' && this.#tokens.supports(app)) {
      return { app, ...(await this.#tokens.identify(app, token)) };
    }
    if (auth !== '' && app.url !== undefined) {
      return { app, ...(await this.#callWebhook(app.key, app.url, auth)) };
    }
    if (app.channels === undefined) throw new GusherError('no_credential');
    return { app, userId: '', channels: app.channels, remotes: [], expiresAt: undefined };
  }

  async #callWebhook(appKey: string, url: string, auth: string): Promise<Identity> {
    try {
      return await this.#webhook.identify(appKey, url, auth);
    } catch (error) {
      if (error instanceof GusherError && error.cause instanceof AuthWebhookError) {
        const { reason, status, systemCode } = error.cause;
        this.#failures.note('auth_webhook_failed', {
          app: appKey,
          code: error.code,
          reason,
          status,
          systemCode,
        });
      }
      throw error;
    }
  }
}
