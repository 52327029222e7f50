import type { App } from '../../shared/app.ts';
import { RefusalError } from '../../shared/errors.ts';
import type { Apps } from '../apps.ts';
import type { Webhook } from './webhook.ts';

/** Who asks to be let in, and with what. */
export interface Applicant {
  readonly appKey: string;
  /** The value of `?auth=`. */
  readonly auth: string | undefined;
}

/** A client that may come in. */
export interface Admitted {
  readonly app: App;
  /** Empty for a client without a name. */
  readonly userId: string;
  readonly grants: readonly string[];
}

/** Decides who is let in to which app, and with what grants. */
export class Admission {
  readonly #apps: Pick<Apps, 'find'>;
  readonly #webhook: Pick<Webhook, 'identify'>;

  constructor(options: { apps: Pick<Apps, 'find'>; webhook: Pick<Webhook, 'identify'> }) {
    this.#apps = options.apps;
    this.#webhook = options.webhook;
  }

  /**
   * Rejects with a `RefusalError` whoever is not let in. A credential is asked of the app's webhook. Without one
   * the app's own `channels` are granted; so they are when the app has no webhook that could check it, since
   * it then gives nothing that everybody else does not get too.
   */
  async admit({ appKey, auth }: Applicant): Promise<Admitted> {
    const app = await this.#apps.find(appKey);
    if (app === undefined) throw new RefusalError('unknown_app');
    if (!app.enabled) throw new RefusalError('app_disabled');
    if (auth !== undefined && auth !== '' && app.url !== undefined) {
      const { userId, channels } = await this.#webhook.identify(app.url, auth);
      return { app, userId, grants: channels };
    }
    if (app.channels === undefined) throw new RefusalError('no_credential');
    return { app, userId: '', grants: app.channels };
  }
}
