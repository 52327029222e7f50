import type { ErrorEntry } from '../../shared/errors/catalogue.ts';
import type { Member } from '../../shared/model/presence.ts';
import type { Grants } from '../auth/grants.ts';
import type { Frames } from '../websocket/frame.ts';
import type { SubscriberGroup } from './channel.ts';
import type { PusherSession } from './pusher-session.ts';
import type { WireProtocol } from './wire-protocol.ts';

/** The socket of a connection. `ClientSocket` implements it over ws. */
export interface Transport {
  /** Bytes passed to `write` that the system has not accepted yet. */
  readonly unsentBytes: number;
  /** The address of the client, for the log. `undefined` after the socket has closed. */
  readonly address?: string | undefined;
  /** Bytes read from the client since it connected. */
  readonly receivedBytes: number;
  /** Bytes written for the client since it connected, accepted by the system or not. */
  readonly sentBytes: number;
  /** Returns false if it wrote nothing, because a close frame was sent. */
  write(frames: Frames): boolean;
  /** Sends a close frame after everything written before. The socket closes within a few seconds. */
  close(code: number, reason: string): void;
  /** Destroys the socket without a close frame. */
  terminate(): void;
  /** Stops reading until `resume`. What the client sends in the meantime stays in its socket. */
  pause(): void;
  resume(): void;
}

/** `open` → `closing` (close frame sent) → `closed` (socket closed). */
export type ConnectionState = 'open' | 'closing' | 'closed';

export interface Identity {
  /**
   * The `socket_id` in replies. For a native client 20 characters of `[A-Za-z0-9_-]`, which `?sid=` can name; for a
   * Pusher client two numbers, separated by a dot.
   */
  readonly id: string;
  readonly appKey: string;
  readonly userId: string;
}

/** Shared by all connections without remotes. */
const NO_REMOTES: readonly string[] = [];

/**
 * The state of one client: a plain record beside one socket. No closure holds state of a connection, so its fields
 * alone describe it, and it can move to another worker.
 */
export class Connection {
  // The fields that a delivery reads come first: V8 lays fields out in order, and these share a cache line.
  readonly transport: Transport;
  state: ConnectionState = 'open';
  /** Owned by the send queue: frames to write at the end of this turn. */
  pending: Frames[] | undefined = undefined;
  /** Whether anything was sent or received since the last check of the idle timeout. Heartbeat pings do not count. */
  hadTraffic = true;

  readonly id: string;
  readonly appKey: string;
  /** Owned by the hub, which indexes connections by it. Empty for an anonymous client. */
  userId: string;
  readonly protocol: WireProtocol<Connection>;
  grants: Grants;
  /** Names of the commands that the client may send to the backend. */
  remotes: readonly string[] = NO_REMOTES;
  /** When its token expires, in ms since 1970. */
  expiresAt: number | undefined = undefined;
  /** The first error that closed the connection. */
  closeError: ErrorEntry | undefined = undefined;

  /** Owned by the hub. */
  subscriptions: SubscriberGroup<Connection>[] = [];
  /** Owned by the hub: by presence channel, the member as which the connection joined. */
  members: Map<string, Member> | undefined = undefined;
  /** Owned by the Pusher protocol; `undefined` for native clients. */
  pusher: PusherSession | undefined = undefined;
  /** Owned by the receive queue: messages that wait until the current command is finished. */
  backlog: InboundMessage[] | undefined = undefined;
  /** Owned by the receive queue: the current second, and the commands in it. */
  commandSecond = 0;
  commands = 0;
  /** Owned by the receive queue: frames in that second that are not whole messages. */
  frames = 0;
  /** Owned by the receive queue: bytes of messages and frames in that second. */
  bytesInSecond = 0;
  /** Owned by the receive queue: the last ping without a pong, while reading is paused. */
  latePing: Buffer | undefined = undefined;
  /** Owned by the receive queue: the current minute, and the protocol errors in it. */
  protocolErrorMinute = 0;
  protocolErrors = 0;
  /** Owned by the client events: start of the current second (`performance.now()`), and the events in it. */
  clientEventsSince = 0;
  clientEvents = 0;
  /** Owned by the heartbeat: the byte counters of the transport at its last check. */
  receivedBytes = -1;
  sentBytes = 0;
  /** Owned by the heartbeat: bytes that may still be in transit to the client. */
  undrainedBytes = 0;
  /** Owned by the heartbeat: `sentBytes` at the last ping. `undefined` after any byte from the client. */
  pingedAt: number | undefined = undefined;
  /** Owned by the heartbeat: checks for which the ping may still wait behind other bytes. */
  pingChecks = 0;
  /** Whether a pong was received since the last check of the heartbeat. */
  ponged = false;
  /** Owned by the join pace: when the joins so far fit the rate (`performance.now()`). */
  joinsPaidAt = 0;
  /** Owned by the token expiry: the second of the next check. */
  expiryCheckAt: number | undefined = undefined;

  constructor(identity: Identity, grants: Grants, protocol: WireProtocol<Connection>, transport: Transport) {
    this.id = identity.id;
    this.appKey = identity.appKey;
    this.userId = identity.userId;
    this.grants = grants;
    this.protocol = protocol;
    this.transport = transport;
  }
}

/** Sends one message, after those enqueued before. Counts `errorCode`, if the message reports that error. */
export type Reply = (connection: Connection, text: string, errorCode?: string) => void;

export interface InboundMessage {
  readonly data: Buffer;
  readonly isBinary: boolean;
}
