import { signatureOf } from '../shared/crypto/signature.ts';
import type { WebhookRequest } from '../shared/ipc/webhook-sender-messages.ts';
import { HttpClient, HttpRequestError } from '../shared/net/http-client.ts';

const RESPONSE_MAX_BYTES = 64 * 1024;
const REQUESTS_MAX = 1_024;
const REQUESTS_PER_APP_MAX = 8;

/** Sends event webhooks: one signed `POST` each, without following redirects. */
export class WebhookClient {
  readonly #timeoutMs: number;
  readonly #client: HttpClient;

  constructor(options: { timeoutMs: number; allowPrivate: boolean }) {
    const { timeoutMs, allowPrivate } = options;
    this.#timeoutMs = timeoutMs;
    this.#client = new HttpClient({
      timeoutMs,
      requestsMax: REQUESTS_MAX,
      requestsPerAppMax: REQUESTS_PER_APP_MAX,
      responseMaxBytes: RESPONSE_MAX_BYTES,
      allowPrivate,
    });
  }

  /** Resolves when the receiver responds with 2xx. Rejects with an `Error` whose message states the reason. */
  async send({ url, key, secret, body }: WebhookRequest): Promise<void> {
    const bytes = Buffer.from(body);
    const status = await this.#send({
      app: key,
      url,
      headers: {
        // No charset: SDKs compare the whole value.
        'Content-Type': 'application/json',
        'X-Pusher-Key': key,
        'X-Pusher-Signature': signatureOf(secret, bytes),
      },
      body: bytes,
      // Events are delivered at least once in any case.
      isRepeatable: true,
    });
    if (status < 200 || status >= 300) throw new Error(`it answered ${status}`);
  }

  async #send(request: Parameters<HttpClient['send']>[0]): Promise<number> {
    try {
      return (await this.#client.send(request)).status;
    } catch (error) {
      // The status counts even if the body is invalid.
      if (error instanceof HttpRequestError) return this.#statusOf(error);
      throw error;
    }
  }

  #statusOf({ reason, status, systemCode }: HttpRequestError): number {
    if (status !== undefined) return status;
    throw new Error(this.#textOf(reason, systemCode));
  }

  /** Contains no URL, which may contain a secret. */
  #textOf(reason: HttpRequestError['reason'], systemCode: string | undefined): string {
    switch (reason) {
      case 'timeout':
        return `no answer in ${this.#timeoutMs} ms`;
      case 'private_address':
        return 'its address is private (GUSHER_EVENT_WEBHOOK_ALLOW_PRIVATE)';
      case 'unreachable':
        return `it could not be reached (${systemCode ?? 'no code'})`;
      default:
        return systemCode === undefined ? reason : `${reason} (${systemCode})`;
    }
  }
}
