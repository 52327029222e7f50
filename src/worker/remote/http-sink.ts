import type { App } from '../../shared/apps/app.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import type { FailureLog } from '../../shared/logging/failure-log.ts';
import { type HttpClient, HttpRequestError } from '../../shared/net/http-client.ts';
import type { RemoteSink } from './remotes.ts';

/**
 * Posts jobs to the `remote_url` of the app, as JSON; the name is in the header `X-Gusher-Remote`. A 2xx means that
 * the backend has the job. A job is sent once only, because the backend may not be able to tell a repetition.
 */
export class HttpSink implements RemoteSink {
  readonly #client: Pick<HttpClient, 'send' | 'close'>;
  readonly #failures: Pick<FailureLog, 'note'>;

  constructor(options: { client: Pick<HttpClient, 'send' | 'close'>; failures: Pick<FailureLog, 'note'> }) {
    this.#client = options.client;
    this.#failures = options.failures;
  }

  async deliver({ key: app, remote_url: url }: App, name: string, job: string): Promise<void> {
    if (url === undefined) throw new GusherError('remote_unavailable');
    const headers = {
      'Content-Type': 'application/json',
      // Through a buffer, because `encodeURIComponent` throws for a lone surrogate.
      'X-Gusher-Remote': encodeURIComponent(Buffer.from(name).toString()),
    };
    try {
      const { status } = await this.#client.send({ app, url, headers, body: job, isRepeatable: false });
      if (status >= 200 && status < 300) return;
      this.#failures.note('remote_backend_failed', {
        app,
        code: 'remote_unavailable',
        reason: 'status',
        status,
      });
    } catch (error) {
      if (!(error instanceof HttpRequestError)) throw error;
      const { reason, status, systemCode } = error;
      const code = reason === 'busy' ? 'remote_full' : 'remote_unavailable';
      this.#failures.note('remote_backend_failed', { app, code, reason, status, systemCode });
      throw new GusherError(code);
    }
    throw new GusherError('remote_unavailable');
  }

  close(): void {
    this.#client.close();
  }
}
