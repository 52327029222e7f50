import type { ErrorEntry } from '../../shared/errors/catalogue.ts';
import { TimingWheel } from '../../shared/scheduling/timing-wheel.ts';
import type { ClientSocket, PendingClientHandler } from './client-socket.ts';
import type { WireProtocol } from './wire-protocol.ts';

/** How long a rejected client may take to answer the close, in ms. */
const LINGER_MS = 1_000;
/** Rejected clients at once; all others are refused by their HTTP status. */
const KEPT_MAX = 200;

/**
 * Native clients that asked to be rejected by a close frame (`?reject=close`), since a browser hides the status of a
 * refused handshake. Attack: a rejected client is never part of the hub, at most its first message is read, and there is
 * a limit on how many are here and for how long, so a flood gains nothing over plain errors.
 */
export class RejectedClients implements PendingClientHandler {
  readonly #protocol: Pick<WireProtocol, 'rejection'>;
  readonly #leaving = new TimingWheel<ClientSocket>({ onExpire: (client) => client.terminate() });

  constructor(options: { protocol: Pick<WireProtocol, 'rejection'> }) {
    this.#protocol = options.protocol;
  }

  get isFull(): boolean {
    return this.#leaving.size >= KEPT_MAX;
  }

  /** Sends the error and the close to a client whose handshake is done. */
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
