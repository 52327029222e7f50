import { createServer, type Server, type Socket } from 'node:net';
import { type Address, formatAddress } from '../shared/address.ts';
import type { Settings } from '../shared/config.ts';
import { REFUSALS, type Refusal } from '../shared/errors.ts';
import { httpRefusal } from '../shared/http-refusal.ts';
import type { Logger } from '../shared/log.ts';
import type { Guest } from './guest.ts';
import { isPublicPost } from './public-post.ts';
import {
  bodyIsAnnounced,
  bodyLength,
  headEnd,
  methodOf,
  pathOf,
  sidOf,
  startsLikeHttp,
} from './request-head.ts';

const BACKLOG = 4_096;
const SWEEP_MS = 250;
/** How long a refused client may take to read why, before its socket is ended. */
const LINGER_MS = 1_000;
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
  readonly #place: (guest: Guest) => boolean;
  readonly #server: Server;
  /** Not yet a whole head, oldest first. */
  readonly #greeting = new Map<Socket, Guest>();
  /** A whole head, and no worker to take it. */
  readonly #waiting = new Set<Guest>();
  /** Refused, and given a moment to read it; with the time at which it ends. */
  readonly #leaving = new Map<Socket, number>();
  #sweeper: NodeJS.Timeout | undefined;

  /** `place` answers false while there is no worker to take a guest. */
  constructor(options: { doors: Doors; place: (guest: Guest) => boolean; log: Logger }) {
    this.#doors = options.doors;
    this.#place = options.place;
    this.#log = options.log;
    this.#server = createServer({ noDelay: true }, this.#onConnection);
  }

  /** Opens the port; resolves with the address, rejects with a sentence if it cannot be had. */
  async open(): Promise<Address> {
    const { host, port } = this.#doors.listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, ...(host !== undefined && { host }), backlog: BACKLOG }, resolve);
    }).catch((error: NodeJS.ErrnoException) => {
      throw new Error(`cannot listen on ${formatAddress({ host, port })} (GUSHER_LISTEN): ${error.code}`);
    });
    this.#server.removeAllListeners('error');
    this.#server.on('error', (error) => this.#log.error({ err: error }, 'the public port failed'));
    this.#sweeper = setInterval(this.#sweep, SWEEP_MS);
    const bound = this.#server.address();
    return { host, port: bound !== null && typeof bound === 'object' ? bound.port : port };
  }

  /** Sockets at the door now, refused ones included. */
  get size(): number {
    return this.#greeting.size + this.#waiting.size + this.#leaving.size;
  }

  /** Takes back a guest whose worker was lost, or tries again once a worker is ready. */
  receive(guest: Guest): void {
    if (guest.socket.destroyed) return;
    if (!this.#place(guest)) this.#waiting.add(guest);
  }

  /** A worker became ready: whoever waits for one is placed. */
  retry(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const guest of waiting) this.receive(guest);
  }

  /** Closes the port for good; whoever is still at the door is told that the server is stopping. */
  close(): void {
    clearInterval(this.#sweeper);
    this.#server.close();
    for (const socket of this.#greeting.keys()) socket.destroy();
    for (const { socket } of this.#waiting) this.#sayNo(socket, REFUSALS.server_stopping);
    for (const socket of this.#leaving.keys()) socket.destroySoon();
    this.#greeting.clear();
    this.#waiting.clear();
    this.#leaving.clear();
  }

  readonly #onConnection = (socket: Socket): void => {
    const guest: Guest = {
      socket,
      data: Buffer.alloc(0),
      sid: undefined,
      arrivedAt: performance.now(),
    };
    if (this.#greeting.size >= this.#doors.greetingMaxSockets) this.#dropOldest();
    this.#greeting.set(socket, guest);
    socket.on('error', destroySocket);
    socket.on('data', (chunk: Buffer) => this.#hear(guest, chunk));
    socket.on('close', () => this.#forget(guest));
  };

  #dropOldest(): void {
    const [oldest] = this.#greeting.keys();
    oldest?.destroy();
    if (oldest !== undefined) this.#greeting.delete(oldest);
  }

  #forget(guest: Guest): void {
    this.#greeting.delete(guest.socket);
    this.#waiting.delete(guest);
    this.#leaving.delete(guest.socket);
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
    this.receive(guest);
  }

  #refuse({ socket }: Guest, refusal: Refusal): void {
    this.#greeting.delete(socket);
    this.#sayNo(socket, refusal);
    this.#leaving.set(socket, performance.now() + LINGER_MS);
  }

  /** What is still unread would make the system send a reset, which destroys the answer: so read on. */
  #sayNo(socket: Socket, refusal: Refusal): void {
    socket.removeAllListeners('data');
    socket.end(httpRefusal(refusal));
    startReading(socket);
  }

  readonly #sweep = (): void => {
    const now = performance.now();
    for (const guest of this.#greeting.values()) {
      if (now - guest.arrivedAt < this.#doors.greetingDeadlineMs) break;
      this.#refuse(guest, REFUSALS.greeting_timeout);
    }
    for (const guest of this.#waiting) {
      if (now - guest.arrivedAt < this.#doors.greetingDeadlineMs) continue;
      this.#waiting.delete(guest);
      this.#refuse(guest, REFUSALS.no_worker);
    }
    for (const [socket, until] of this.#leaving) {
      if (now < until) break;
      socket.destroy();
    }
  };
}

function destroySocket(this: Socket): void {
  this.destroy();
}

/** The part of a socket's handle that is used here; it is not public, and may be missing. */
interface ReadableHandle {
  readStart?: () => void;
  readStop?: () => void;
}

/**
 * Stops reading within this turn. `pause` alone stops the stream; the handle below it goes on until the system
 * has given it more, and what it reads after the handle was passed on would be lost for the worker. The handle's
 * `reading` stays true on purpose: a moment later the stream looks there whether it has to start it again.
 */
function stopReading(socket: Socket): void {
  socket.pause();
  handleOf(socket)?.readStop?.();
}

/** Undoes `stopReading`; does nothing to a socket that is being read. */
function startReading(socket: Socket): void {
  handleOf(socket)?.readStart?.();
  socket.resume();
}

function handleOf(socket: Socket): ReadableHandle | null | undefined {
  return (socket as Socket & { _handle?: ReadableHandle | null })._handle;
}
