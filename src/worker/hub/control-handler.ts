import { ERRORS } from '../../shared/errors/catalogue.ts';
import type { ControlMessage, DirectMessage, GrantsChange } from '../../shared/model/control-message.ts';
import { GRANTS_MAX } from '../../shared/model/grants.ts';
import { Grants } from '../auth/grants.ts';
import type { Connection } from '../connection/connection.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { WireProtocol } from '../connection/wire-protocol.ts';
import { type Frames, frameDelivery, frameText } from '../websocket/frame.ts';
import type { Hub } from './hub.ts';

/** Executes control messages on the connections of this worker that belong to the named app. */
export class ControlHandler {
  readonly #hub: Hub;
  readonly #sendQueue: SendQueue;

  constructor(options: { hub: Hub; sendQueue: SendQueue }) {
    this.#hub = options.hub;
    this.#sendQueue = options.sendQueue;
  }

  execute(message: ControlMessage): void {
    switch (message.kind) {
      case 'toUser':
        this.#send(this.#hub.connectionsOf(message.app, message.user), message);
        break;
      case 'toSocket': {
        const connection = this.#hub.connectionOf(message.app, message.socket);
        if (connection !== undefined) this.#send([connection], message);
        break;
      }
      case 'grants':
        this.#changeGrants(message);
        break;
      case 'terminate':
        // A copy, because closing may change the set.
        for (const connection of [...this.#hub.connectionsOf(message.app, message.user)]) {
          this.#sendQueue.close(connection, ERRORS.terminated);
        }
        break;
      default:
        message satisfies never;
    }
  }

  #send(connections: Iterable<Connection>, message: DirectMessage): void {
    const framesFor = oncePerProtocol((protocol) => frameDelivery(protocol.encodeDirect(message)));
    for (const connection of connections) {
      this.#sendQueue.enqueue(connection, framesFor(connection.protocol));
    }
  }

  #changeGrants(change: GrantsChange): void {
    const framesFor = oncePerProtocol((protocol) => frameText(protocol.encodeGrantsChange?.(change) ?? ''));
    for (const connection of this.#hub.connectionsOf(change.app, change.user)) {
      if (connection.protocol.encodeGrantsChange === undefined) continue;
      const list = change.mode === 'add' ? [...connection.grants.list, ...change.channels] : change.channels;
      // Attack: a backend that adds grants without end. The latest ones are kept.
      this.#hub.updateGrants(connection, new Grants([...new Set(list)].slice(-GRANTS_MAX)));
      this.#sendQueue.enqueue(connection, framesFor(connection.protocol));
    }
  }
}

/** Returns a function that encodes and frames a message only once per protocol. */
function oncePerProtocol(encode: (protocol: WireProtocol) => Frames): (protocol: WireProtocol) => Frames {
  const cache = new Map<WireProtocol, Frames>();
  return (protocol) => {
    const frames = cache.get(protocol) ?? encode(protocol);
    cache.set(protocol, frames);
    return frames;
  };
}
