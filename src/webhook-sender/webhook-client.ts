import { lookup } from 'node:dns';
import { Agent as HttpAgent, request as httpRequest, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { signatureOf } from '../shared/crypto/signature.ts';
import type { Parcel } from '../shared/ipc/webhook-sender-messages.ts';
import { isPrivateAddress } from './private-address.ts';

/** Attack: a receiver that never stops answering. All that counts of an answer is its status. */
const ANSWER_MAX_BYTES = 64 * 1024;
const SOCKETS_MAX = 128;
const PRIVATE = 'its address is private (GUSHER_WEBHOOK_ALLOW_PRIVATE)';

/**
 * Brings parcels to the webhooks of apps: one `POST` each, signed, without following redirects. The address is
 * judged where the connection is made, so that no name can mean one address when it is asked about and another
 * when it is used.
 */
export class Delivery {
  readonly #deadlineMs: number;
  readonly #allowPrivate: boolean;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor(options: { deadlineMs: number; allowPrivate: boolean }) {
    this.#deadlineMs = options.deadlineMs;
    this.#allowPrivate = options.allowPrivate;
    const agent = { keepAlive: true, maxSockets: SOCKETS_MAX };
    this.#http = new HttpAgent(agent);
    this.#https = new HttpsAgent(agent);
  }

  /** Resolves when the receiver has answered with a 2xx; rejects with an `Error` whose message says what was. */
  async bring({ url, key, secret, body }: Parcel): Promise<void> {
    const target = new URL(url);
    // A literal address is connected to without a look-up.
    const host = target.hostname.replace(/^\[|\]$/g, '');
    if (!this.#allowPrivate && isIP(host) !== 0 && isPrivateAddress(host)) throw new Error(PRIVATE);
    const bytes = Buffer.from(body);
    const status = await this.#post(target, bytes, {
      // Exactly this: SDKs compare the whole header.
      'Content-Type': 'application/json',
      'X-Pusher-Key': key,
      'X-Pusher-Signature': signatureOf(secret, bytes),
    });
    if (status < 200 || status >= 300) throw new Error(`it answered ${status}`);
  }

  #post(target: URL, body: Buffer, headers: Record<string, string>): Promise<number> {
    const secure = target.protocol === 'https:';
    const deadline = AbortSignal.timeout(this.#deadlineMs);
    const options: RequestOptions = {
      method: 'POST',
      agent: secure ? this.#https : this.#http,
      signal: deadline,
      headers: { ...headers, 'Content-Length': body.length, 'User-Agent': 'gusher' },
      ...(!this.#allowPrivate && { lookup: publicLookup }),
    };
    return new Promise((resolve, reject) => {
      const request = (secure ? httpsRequest : httpRequest)(target, options, (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > ANSWER_MAX_BYTES) response.destroy();
        });
        response.on('error', () => undefined);
        response.on('close', () => resolve(response.statusCode ?? 0));
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        reject(deadline.aborted ? new Error(`no answer in ${this.#deadlineMs} ms`) : faultOf(error));
      });
      request.end(body);
    });
  }
}

/** In words that hold no URL: it may have a secret in it. */
function faultOf({ code, message }: NodeJS.ErrnoException): Error {
  return new Error(message === PRIVATE ? PRIVATE : `it could not be reached (${code ?? 'no code'})`);
}

/** A look-up that finds public addresses only. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) {
      callback(error, '');
      return;
    }
    const found = addresses.filter(({ address }) => !isPrivateAddress(address));
    const [first] = found;
    if (first === undefined) callback(new Error(PRIVATE), '');
    else if (options.all === true) callback(null, found);
    else callback(null, first.address, first.family);
  });
};
