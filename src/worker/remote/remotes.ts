import type { App } from '../../shared/apps/app.ts';
import type { AppFinder } from '../../shared/apps/app-registry.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import type { Connection } from '../connection/connection.ts';

/** A call of a client to the backend of its app. */
export interface RemoteCall {
  readonly name: string;
  /** The id that the client chose for this call. */
  readonly uid: string;
  /** JSON text as received from the client. */
  readonly payload: string;
}

/** Delivers jobs to a backend. */
export interface RemoteSink {
  /** Resolves when Redis or the backend has accepted the job; rejects with `remote_full` or `remote_unavailable`. */
  deliver(app: App, name: string, job: string): Promise<void>;
  close(): void;
}

/** Delivers the calls of clients to backends, if the client has the grant. */
export class Remotes {
  readonly #apps: AppFinder;
  readonly #sink: RemoteSink;

  constructor({ apps, sink }: { apps: AppFinder; sink: RemoteSink }) {
    this.#apps = apps;
    this.#sink = sink;
  }

  /** Rejects with a `GusherError`: `remote_not_granted`, or an error of the sink. */
  async call(connection: Connection, { name, uid, payload }: RemoteCall): Promise<void> {
    if (!connection.remotes.includes(name)) throw new GusherError('remote_not_granted');
    const app = await this.#apps.find(connection.appKey);
    if (app === undefined) throw new GusherError('remote_unavailable');
    // Upstream's job has these members in this order.
    const { userId: user_id, id: socket_id, appKey: app_key } = connection;
    const head = JSON.stringify({ user_id, socket_id, uid, app_key }).slice(0, -1);
    await this.#sink.deliver(app, name, `${head},"data":${payload}}`);
  }
}
