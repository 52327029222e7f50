import type { ErrorEntry } from '../../shared/errors/catalogue.ts';
import { TimingWheel } from '../../shared/scheduling/timing-wheel.ts';
import type { ClientSocket, PendingClientHandler } from './client-socket.ts';
import type { WireProtocol } from './wire-protocol.ts';

/** How long a rejected client may take to answer the close frame, in ms. */
const LINGER_MS = 1_000;
/** Rejected clients at once. Further ones get an HTTP error. */
const CLIENTS_MAX = 200;

/**
 * Rejects native clients that asked for a close frame (`?reject=close`), because a browser hides the HTTP status of a
 * failed handshake. Attack: a flood of such clients. They never enter the hub, at most their first message is read, and
 * their number and time are limited.
 */
export class RejectedClients implements PendingClientHandler {
  readonly #protocol: Pick<WireProtocol, 'rejection'>;
  readonly #leaving = new TimingWheel<ClientSocket>({ onExpire: (client) => client.terminate() });

  constructor(options: { protocol: Pick<WireProtocol, 'rejection'> }) {
    this.#protocol = options.protocol;
  }

  get isFull(): boolean {
    return this.#leaving.size >= CLIENTS_MAX;
  }

  /** Sends the error and a close frame to a client after its handshake. */
  reject(client: ClientSocket, error: ErrorEntry): void {
    const rejection = this.#protocol.rejection?.(error);
    if (rejection === undefined) {
      client.terminate();
      return;
    }
    client.waitForAdmission(this);
    this.#leaving.add(client, LINGER_MS);
    client.send(rejection.text);
    client.close(rejection.code, rejection.reason);
  }

  pendingClientClosed(client: ClientSocket): void {
    this.#leaving.cancel(client);
  }
}
