import { createServer, type Server, type Socket } from 'node:net';
import type { Settings } from '../../shared/config/settings.ts';
import { REFUSALS, type Refusal } from '../../shared/errors/catalogue.ts';
import type { Logger } from '../../shared/log.ts';
import type { Address } from '../../shared/net/address.ts';
import { createGuest, type Guest } from '../dispatch/pending-socket.ts';
import type { Lobby } from '../dispatch/socket-queue.ts';
import { stopReading } from '../dispatch/socket-reading.ts';
import { isPublicPost } from './allowed-posts.ts';
import { listen } from './listen.ts';
import {
  bodyIsAnnounced,
  bodyLength,
  hasBareLineEnd,
  headEnd,
  methodOf,
  pathOf,
  sidOf,
  startsLikeHttp,
} from './request-head.ts';

const SWEEP_MS = 250;
const METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

type Doors = Pick<
  Settings,
  | 'listen'
  | 'greetingDeadlineMs'
  | 'greetingMaxSockets'
  | 'headMaxBytes'
  | 'bodyMaxBytes'
  | 'pusherPathPrefix'
>;

/**
 * The public port. Each socket is a guest until it has sent one whole request head in time and in size; only
 * then is it placed with a worker. The door reads no byte more than it has to, so that whatever follows the
 * head is still in the socket for the worker. So is the body, where an address takes one: its head says how
 * long it is, and what has not come with the head never passes through here.
 *
 * Against: sockets that stay silent or trickle (deadline, one sweep for all), many of them (a cap; the one
 * that waited longest goes first, since honest clients speak at once), endless heads (a cap), other protocols,
 * methods and bodies that have no business here, and errors on any of them (a listener from the first moment).
 */
export class FrontDoor {
  readonly #doors: Doors;
  readonly #log: Logger;
  readonly #lobby: Pick<Lobby, 'receive' | 'refuse'>;
  readonly #server: Server;
  /** Not yet a whole head, oldest first. */
  readonly #greeting = new Map<Socket, Guest>();
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: { doors: Doors; lobby: Pick<Lobby, 'receive' | 'refuse'>; log: Logger }) {
    this.#doors = options.doors;
    this.#lobby = options.lobby;
    this.#log = options.log;
    // Half open, so that a client which ends in the middle of its request can be told what was wrong.
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, this.#onConnection);
  }

  /** Opens the port; resolves with the address, rejects with a sentence if it cannot be had. */
  open(): Promise<Address> {
    this.#sweeper = setInterval(this.#sweep, SWEEP_MS);
    const about = { address: this.#doors.listen, setting: 'GUSHER_LISTEN', name: 'public', log: this.#log };
    return listen(this.#server, about);
  }

  /** Closes the port for good; whoever has not asked for anything yet is told that the server is stopping. */
  close(): void {
    clearInterval(this.#sweeper);
    this.#server.close();
    for (const guest of this.#greeting.values()) this.#refuse(guest, REFUSALS.server_stopping);
  }

  readonly #onConnection = (socket: Socket): void => {
    const guest = createGuest(socket, 'public');
    if (this.#greeting.size >= this.#doors.greetingMaxSockets) this.#dropOldest();
    this.#greeting.set(socket, guest);
    socket.on('data', (chunk: Buffer) => this.#hear(guest, chunk));
    socket.on('end', () => this.#onEnd(guest));
    socket.on('close', () => this.#greeting.delete(socket));
  };

  #dropOldest(): void {
    const [oldest] = this.#greeting.keys();
    oldest?.destroy();
    if (oldest !== undefined) this.#greeting.delete(oldest);
  }

  /** The client has said all it will say, and it was no whole head. */
  #onEnd(guest: Guest): void {
    if (!this.#greeting.has(guest.socket)) return;
    if (guest.data.length > 0) this.#refuse(guest, REFUSALS.bad_request);
    else guest.socket.destroy();
  }

  /** Adds what a guest said, and decides as soon as it can be decided. */
  #hear(guest: Guest, chunk: Buffer): void {
    const searched = guest.data.length;
    guest.data = searched === 0 ? chunk : Buffer.concat([guest.data, chunk]);
    const end = headEnd(guest.data, searched);
    const objection = this.#objectionTo(guest.data, end);
    if (objection !== undefined) this.#refuse(guest, objection);
    else if (end >= 0) this.#letPass(guest, end);
  }

  #objectionTo(data: Buffer, end: number): Refusal | undefined {
    if (!startsLikeHttp(data)) return REFUSALS.bad_request;
    const headLength = end < 0 ? data.length : end;
    if (headLength > this.#doors.headMaxBytes) return REFUSALS.head_too_large;
    if (end < 0) return undefined;
    const head = data.toString('latin1', 0, end);
    if (hasBareLineEnd(head)) return REFUSALS.bad_request;
    if (METHODS.has(methodOf(head))) return bodyIsAnnounced(head) ? REFUSALS.body_not_allowed : undefined;
    return this.#objectionToBody(head);
  }

  #objectionToBody(head: string): Refusal | undefined {
    const { bodyMaxBytes, pusherPathPrefix } = this.#doors;
    if (!isPublicPost(methodOf(head), pathOf(head), pusherPathPrefix)) return REFUSALS.method_not_allowed;
    const length = bodyLength(head);
    if (length === undefined) return REFUSALS.length_required;
    return length > bodyMaxBytes ? REFUSALS.body_too_large : undefined;
  }

  #letPass(guest: Guest, headLength: number): void {
    this.#greeting.delete(guest.socket);
    stopReading(guest.socket);
    guest.sid = sidOf(guest.data.toString('latin1', 0, headLength));
    this.#lobby.receive(guest);
  }

  #refuse({ socket }: Guest, refusal: Refusal): void {
    this.#greeting.delete(socket);
    this.#lobby.refuse(socket, refusal);
  }

  readonly #sweep = (): void => {
    const now = performance.now();
    for (const guest of this.#greeting.values()) {
      if (now - guest.arrivedAt < this.#doors.greetingDeadlineMs) break;
      this.#refuse(guest, REFUSALS.greeting_timeout);
    }
  };
}
