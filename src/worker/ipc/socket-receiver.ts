import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { setupWorker } from '@socket.io/sticky';
import type { ChannelMessage } from '../../shared/ipc/messages.ts';
import type { SocketReporter } from './socket-reporter.ts';

/**
 * Where the clients that came to the primary arrive: @socket.io/sticky tells of each by a `connection` event.
 */
export class SocketReceiver {
  readonly #report: SocketReporter;

  constructor(arrivals: EventEmitter, report: SocketReporter) {
    this.#report = report;
    process.on('message', this.#onMessage);
    // sticky announces ids one message at a time through `engine`; ours go in batches, so it never speaks.
    type StickyServer = Parameters<typeof setupWorker>[0];
    setupWorker({ httpServer: arrivals, engine: new EventEmitter() } as unknown as StickyServer);
  }

  readonly #onMessage = (message: ChannelMessage, socket: Socket | undefined): void => {
    if (message.type === 'barrier') this.#report.confirmBarrier(message.handoffId);
    if (message.type !== 'sticky:connection') return;
    this.#report.acknowledge(message.handoffId);
    // The socket may have died on the way; then there is nothing to wait for.
    if (socket === undefined) this.#report.countEnded();
    else socket.on('close', this.#onClose);
  };

  readonly #onClose = (): void => this.#report.countEnded();
}
