import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { setupWorker } from '@socket.io/sticky';
import type { ChannelMessage } from '../../shared/ipc/messages.ts';
import type { SocketReporter } from './socket-reporter.ts';

const HANDOFF_ID = Symbol('handoff id');

interface HandedOffSocket extends Socket {
  [HANDOFF_ID]?: number;
}

/** Receives the client sockets that the primary hands off; @socket.io/sticky emits `connection` for each. */
export class SocketReceiver {
  readonly #reporter: SocketReporter;
  /** One listener for all sockets: each socket carries its handoff id. */
  readonly #onClose: (this: HandedOffSocket) => void;

  constructor(connections: EventEmitter, reporter: SocketReporter) {
    this.#reporter = reporter;
    this.#onClose = function (): void {
      reporter.reportEnded(this[HANDOFF_ID] ?? 0);
    };
    process.on('message', this.#onMessage);
    // An idle `engine`: sticky would send one message per connection id, which SocketReporter sends in batches.
    type StickyServer = Parameters<typeof setupWorker>[0];
    setupWorker({ httpServer: connections, engine: new EventEmitter() } as unknown as StickyServer);
  }

  readonly #onMessage = (message: ChannelMessage, socket: Socket | undefined): void => {
    if (message.type === 'barrier') this.#reporter.confirmBarrier(message.handoffId);
    if (message.type !== 'sticky:connection') return;
    this.#reporter.acknowledge(message.handoffId);
    // Node passes no socket if the client disconnected during the handoff.
    if (socket === undefined) {
      this.#reporter.reportEnded(message.handoffId);
      return;
    }
    (socket as HandedOffSocket)[HANDOFF_ID] = message.handoffId;
    socket.on('close', this.#onClose);
  };
}
