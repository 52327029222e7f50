import type { App } from '../../shared/apps/app.ts';
import { RefusalError } from '../../shared/errors/catalogue.ts';
import type { HttpCalls } from '../../shared/net/http-client.ts';
import type { RemoteSink } from './remotes.ts';

/**
 * Jobs posted to the `remote_url` of the app, as JSON; the name is in the header `X-Gusher-Remote`. A 2xx means that
 * the backend has it.
 */
export class HttpPost implements RemoteSink {
  readonly #calls: HttpCalls;

  constructor(options: { calls: HttpCalls }) {
    this.#calls = options.calls;
  }

  async deliver({ remote_url }: App, name: string, job: string): Promise<void> {
    if (remote_url === undefined) throw new RefusalError('remote_unavailable');
    const headers = { 'Content-Type': 'application/json', 'X-Gusher-Remote': encodeURIComponent(name) };
    const { status } = await this.#calls.post(remote_url, headers, job).catch(() => ({ status: 0 }));
    if (status < 200 || status >= 300) throw new RefusalError('remote_unavailable');
  }

  close(): void {
    this.#calls.close();
  }
}
