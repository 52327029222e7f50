import { IncomingMessage, type Server } from 'node:http';
import type { BlockList, Socket } from 'node:net';
import { ERRORS, type ErrorEntry, GusherError } from '../../shared/errors/catalogue.ts';
import { destroyOnError } from '../../shared/http/destroy-on-error.ts';
import {
  asksForWebSocket,
  type RequestLimits,
  requestError,
  splitTarget,
} from '../../shared/http/request-rules.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import { isIn, parseNetworks, plainAddress } from '../../shared/net/client-address.ts';
import { headOf, useOriginForm } from '../api/http/router.ts';
import type { GusherHandshake } from './gusher/gusher-handshake.ts';
import { requireHandshake } from './handshake-fields.ts';
import type { PusherHandshake } from './pusher/pusher-handshake.ts';
import type { UpgradeRequest } from './upgrade-request.ts';
import type { WebSocketHandshake } from './websocket-handshake.ts';

export interface UpgradeDependencies {
  readonly server: Server;
  readonly handshake: Pick<WebSocketHandshake, 'reject'>;
  readonly gusherHandshake: GusherHandshake;
  readonly pusherHandshake: PusherHandshake;
  readonly unexpected: UnexpectedErrors;
  readonly limits: RequestLimits;
  /** Comma-separated networks; empty if the operator named none. */
  readonly trustedProxies: string;
}

/**
 * Receives the upgrade requests of the public port, checks what both protocols share, and passes each request to the
 * handshake of its protocol. Rejects a request with an HTTP error before the 101.
 */
export class UpgradeHandler {
  readonly #dependencies: UpgradeDependencies;
  /** `undefined`: every peer may report TLS. */
  readonly #trusted: BlockList | undefined;

  constructor(dependencies: UpgradeDependencies) {
    this.#dependencies = dependencies;
    const { trustedProxies } = dependencies;
    this.#trusted = trustedProxies === '' ? undefined : parseNetworks(trustedProxies);
    dependencies.server.on('upgrade', this.#onUpgrade);
  }

  /** Whether a request asks for a WebSocket at a path of clients. */
  isFor(request: UpgradeRequest): boolean {
    if (request.method !== 'GET' || !asksForWebSocket(request)) return false;
    const { gusherHandshake, pusherHandshake } = this.#dependencies;
    const target = { headers: request.headers, url: splitTarget(request.url ?? '').target };
    return gusherHandshake.matches(target) || pusherHandshake.matches(target);
  }

  /** From now on rejects every client, in the form of its protocol; it then reconnects. */
  stop(): void {
    this.#dependencies.gusherHandshake.stop();
    this.#dependencies.pusherHandshake.stop();
  }

  readonly #onUpgrade = (request: UpgradeRequest, socket: Socket, head: Buffer): void => {
    // The HTTP server has closed it: its pipeline was too long.
    if (socket.destroyed) return;
    destroyOnError(socket);
    this.#handle(request, socket, head).catch((error: unknown) => {
      if (!(error instanceof GusherError)) this.#dependencies.unexpected.report(error, 'connect');
      this.#reject(request, socket, head, error instanceof GusherError ? error.entry : ERRORS.internal);
    });
  };

  async #handle(request: UpgradeRequest, socket: Socket, head: Buffer): Promise<void> {
    const { gusherHandshake, pusherHandshake } = this.#dependencies;
    this.#checkLaterRequest(request);
    this.#ignoreUntrustedProto(request, socket);
    if (!pusherHandshake.matches(request)) return await gusherHandshake.handle(request, socket, head);
    requireHandshake(request);
    await pusherHandshake.handle(request, socket, head);
  }

  #reject(request: UpgradeRequest, socket: Socket, head: Buffer, error: ErrorEntry): void {
    const { handshake, gusherHandshake } = this.#dependencies;
    if (gusherHandshake.matches(request)) gusherHandshake.reject(request, socket, head, error);
    else handshake.reject(socket, error);
  }

  /**
   * Attack: a client that connects without a proxy and claims TLS. The header stays, because it is also a sign of a proxy,
   * which ends the access to the demo app.
   */
  #ignoreUntrustedProto({ headers }: UpgradeRequest, socket: Socket): void {
    if (headers.forwarded === undefined && headers['x-forwarded-proto'] === undefined) return;
    // The address comes last: to read it is a system call.
    if (this.#trusted === undefined || isIn(this.#trusted, plainAddress(socket.remoteAddress ?? ''))) return;
    headers['x-forwarded-proto'] = 'http';
  }

  /** The primary checks only the first request of a TCP connection; Node parses the later ones here. */
  #checkLaterRequest(request: UpgradeRequest): void {
    if (!(request instanceof IncomingMessage)) return;
    const error = requestError(headOf(request), this.#dependencies.limits);
    if (error !== undefined) throw error;
    useOriginForm(request);
  }
}
