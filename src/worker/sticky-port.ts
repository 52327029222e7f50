import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setupWorker } from '@socket.io/sticky';
import type { ToPrimary } from '../shared/ipc.ts';

/**
 * Where the primary's sockets arrive. @socket.io/sticky injects them into an HTTP server that itself never
 * listens; what the primary has to know of them is collected here and told once per turn of the loop: how many
 * were taken over (its own copies may go), how many ended, and which ids `?sid=` may name.
 */
export class StickyPort {
  readonly #send: (message: ToPrimary) => void;
  #taken = 0;
  #ended = 0;
  #opened: string[] = [];
  #closed: string[] = [];
  #requested = false;

  constructor(server: Server, send: (message: ToPrimary) => void) {
    this.#send = send;
    process.on('message', this.#onMessage);
    // sticky announces ids one message at a time through `engine`; ours go in batches, so it never speaks.
    type StickyServer = Parameters<typeof setupWorker>[0];
    setupWorker({ httpServer: server, engine: new EventEmitter() } as unknown as StickyServer);
  }

  opened(id: string): void {
    this.#opened.push(id);
    this.#request();
  }

  closed(id: string): void {
    this.#closed.push(id);
    this.#request();
  }

  readonly #onMessage = (message: { type?: unknown }, socket: Socket | undefined): void => {
    if (message.type !== 'sticky:connection') return;
    this.#taken += 1;
    // The socket may have died on the way; then there is nothing to wait for.
    if (socket === undefined) this.#ended += 1;
    else socket.on('close', this.#onClose);
    this.#request();
  };

  readonly #onClose = (): void => {
    this.#ended += 1;
    this.#request();
  };

  #request(): void {
    if (this.#requested) return;
    this.#requested = true;
    setImmediate(this.#report);
  }

  readonly #report = (): void => {
    this.#requested = false;
    this.#send({
      type: 'sockets',
      taken: this.#taken,
      ended: this.#ended,
      opened: this.#opened,
      closed: this.#closed,
    });
    this.#taken = 0;
    this.#ended = 0;
    this.#opened = [];
    this.#closed = [];
  };
}
