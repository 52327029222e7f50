import type { App } from '../../shared/apps/app.ts';
import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import type { Connection } from '../connection/connection.ts';

/** A command of a client for the backend of its app. */
export interface RemoteCall {
  readonly name: string;
  /** The client's own name for this call. */
  readonly uid: string;
  /** JSON text, as the client wrote it. */
  readonly payload: string;
}

/** Where commands go. */
export interface RemoteSink {
  /** Resolves once the backend's side has the job; rejects with `remote_full` or `remote_unavailable`. */
  deliver(app: App, name: string, job: string): Promise<void>;
  close(): void;
}

/** Hands commands of clients to backends, where the client was granted that. */
export class Remotes {
  readonly #apps: Pick<AppRegistry, 'find'>;
  readonly #sink: RemoteSink;

  constructor(options: { apps: Pick<AppRegistry, 'find'>; sink: RemoteSink }) {
    this.#apps = options.apps;
    this.#sink = options.sink;
  }

  /** Rejects with a `GusherError`: `remote_not_granted`, or what the sink says. */
  async call(connection: Connection, { name, uid, payload }: RemoteCall): Promise<void> {
    if (!connection.remotes.includes(name)) throw new GusherError('remote_not_granted');
    const app = await this.#apps.find(connection.appKey);
    if (app === undefined) throw new GusherError('remote_unavailable');
    // The members of upstream's job, in its order.
    const { userId: user_id, id: socket_id, appKey: app_key } = connection;
    const head = JSON.stringify({ user_id, socket_id, uid, app_key }).slice(0, -1);
    await this.#sink.deliver(app, name, `${head},"data":${payload}}`);
  }
}
