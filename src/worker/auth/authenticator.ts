import type { IncomingHttpHeaders } from 'node:http';
import type { App } from '../../shared/apps/app.ts';
import type { AppFinder } from '../../shared/apps/app-registry.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import type { FailureLog } from '../../shared/logging/failure-log.ts';
import { requireAdmissible } from './app-guards.ts';
import { type AuthWebhook, AuthWebhookError } from './auth-webhook.ts';
import type { Identity } from './identity.ts';
import type { TokenVerifier } from './token-verifier.ts';

/** What a client presents in its handshake. */
export interface Credentials {
  readonly appKey: string;
  /** The value of `?auth=`; empty if absent. */
  readonly auth: string;
  /** The value of `?token=`; empty if absent. */
  readonly token: string;
  /** The headers of its request, for the rules of the app. */
  readonly headers: IncomingHttpHeaders;
}

/** An authenticated client. */
export interface AuthResult extends Identity {
  readonly app: App;
}

export interface AuthenticatorDependencies {
  readonly apps: AppFinder;
  readonly webhook: Pick<AuthWebhook, 'identify'>;
  readonly failures: Pick<FailureLog, 'note'>;
  readonly tokens: Pick<TokenVerifier, 'identify' | 'supports'>;
}

/** Authenticates clients and returns their grants. */
export class Authenticator {
  readonly #dependencies: AuthenticatorDependencies;

  constructor(dependencies: AuthenticatorDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Verifies a token, or sends another credential to the webhook of the app. Without a credential, the client gets the
   * `channels` of the app. The same applies if the app cannot check the credential: every client gets those channels.
   * Rejects with a `GusherError`.
   */
  async authenticate({ appKey, auth, token, headers }: Credentials): Promise<AuthResult> {
    const { apps, tokens } = this.#dependencies;
    const app = await apps.find(appKey);
    if (app === undefined) throw new GusherError('unknown_app');
    requireAdmissible(app, headers);
    if (token !== '' && tokens.supports(app)) {
      return { app, ...(await tokens.identify(app, token)) };
    }
    if (auth !== '' && app.url !== undefined) {
      return { app, ...(await this.#callWebhook(app.key, app.url, auth)) };
    }
    if (app.channels === undefined) throw new GusherError('no_credential');
    return { app, userId: '', channels: app.channels, remotes: [], expiresAt: undefined };
  }

  async #callWebhook(appKey: string, url: string, auth: string): Promise<Identity> {
    const { webhook, failures } = this.#dependencies;
    try {
      return await webhook.identify(appKey, url, auth);
    } catch (error) {
      if (error instanceof GusherError && error.cause instanceof AuthWebhookError) {
        const { reason, status, systemCode } = error.cause;
        failures.note('auth_webhook_failed', {
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
