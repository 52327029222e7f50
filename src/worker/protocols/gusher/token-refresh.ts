import type { AppRegistry } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { Grants } from '../../auth/grants.ts';
import type { TokenVerifier } from '../../auth/token-verifier.ts';
import type { Connection } from '../../connection/connection.ts';
import type { Hub } from '../../hub/hub.ts';
import type { TokenExpiry } from '../../lifecycle/token-expiry.ts';

/** Replaces the token of a connection. */
export class TokenRefresh {
  readonly #apps: Pick<AppRegistry, 'find'>;
  readonly #tokens: Pick<TokenVerifier, 'identify'>;
  readonly #hub: Pick<Hub, 'updateGrants'>;
  readonly #expiry: Pick<TokenExpiry, 'track'>;

  constructor(options: {
    apps: Pick<AppRegistry, 'find'>;
    tokens: Pick<TokenVerifier, 'identify'>;
    hub: Pick<Hub, 'updateGrants'>;
    expiry: Pick<TokenExpiry, 'track'>;
  }) {
    this.#apps = options.apps;
    this.#tokens = options.tokens;
    this.#hub = options.hub;
    this.#expiry = options.expiry;
  }

  /**
   * Applies grants, remotes and expiry of a token, which must belong to the same app and user. Rejects with a
   * `GusherError`, and then changes nothing.
   */
  async refresh(connection: Connection, token: string): Promise<void> {
    const app = await this.#apps.find(connection.appKey);
    if (app === undefined) throw new GusherError('unknown_app');
    if (!app.enabled) throw new GusherError('app_disabled');
    const { userId, channels, remotes, expiresAt } = await this.#tokens.identify(app, token);
    if (userId !== connection.userId) throw new GusherError('token_of_other_user');
    if (connection.state !== 'open') return;
    this.#hub.updateGrants(connection, new Grants(channels));
    connection.remotes = remotes;
    connection.expiresAt = expiresAt;
    this.#expiry.track(connection);
  }
}
