import type { App } from '../../shared/apps/app.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import type { FailureLog } from '../../shared/logging/failure-log.ts';
import { type HttpClient, HttpRequestError } from '../../shared/net/http-client.ts';
import type { RemoteSink } from './remotes.ts';

export interface HttpSinkOptions {
  readonly client: Pick<HttpClient, 'send' | 'close'>;
  readonly failures: Pick<FailureLog, 'note'>;
}

/**
 * Posts jobs as JSON to the `remote_url` of the app, with the name in the header `X-Gusher-Remote`. A 2xx response accepts
 * the job. Each job is sent once only, because a backend may be unable to detect a repeat.
 */
export class HttpSink implements RemoteSink {
  readonly #options: HttpSinkOptions;

  constructor(options: HttpSinkOptions) {
    this.#options = options;
  }

  async deliver({ key: app, remote_url: url }: App, name: string, job: string): Promise<void> {
    const { client, failures } = this.#options;
    if (url === undefined) throw new GusherError('remote_unavailable');
    const headers = {
      'Content-Type': 'application/json',
      // `encodeURIComponent` throws for a lone surrogate, which the buffer replaces.
      'X-Gusher-Remote': encodeURIComponent(Buffer.from(name).toString()),
    };
    try {
      const { status } = await client.send({ app, url, headers, body: job, isRepeatable: false });
      if (status >= 200 && status < 300) return;
      failures.note('remote_backend_failed', {
        app,
        code: 'remote_unavailable',
        reason: 'status',
        status,
      });
    } catch (error) {
      if (!(error instanceof HttpRequestError)) throw error;
      const { reason, status, systemCode } = error;
      const code = reason === 'busy' ? 'remote_full' : 'remote_unavailable';
      failures.note('remote_backend_failed', { app, code, reason, status, systemCode });
      throw new GusherError(code);
    }
    throw new GusherError('remote_unavailable');
  }

  close(): void {
    this.#options.client.close();
  }
}
