import type { ErrorEntry } from '../../shared/errors/catalogue.ts';
import type { Member } from '../../shared/model/presence.ts';
import type { Grants } from '../auth/grants.ts';
import type { Frames } from '../websocket/frame.ts';
import type { SubscriberGroup } from './channel.ts';
import type { PusherSession } from './pusher-session.ts';
import type { WireProtocol } from './wire-protocol.ts';

/** What a connection needs of its socket; `upgrade.ts` gives it one made of a ws socket. */
export interface Transport {
  /** Bytes handed over by `write` that the system has not taken yet. */
  readonly unsentBytes: number;
  /** The address of the other end, for the log; `undefined` once the socket is gone. */
  readonly address?: string | undefined;
  /** Bytes read from the client since it connected. */
  readonly receivedBytes: number;
  /** Bytes handed over for the client since it connected, whether or not the system has taken them. */
  readonly sentBytes: number;
  write(frames: Frames): void;
  /** Says goodbye, after what was written before; the socket is gone some seconds later at the latest. */
  close(code: number, reason: string): void;
  /** Ends the socket without a word. */
  terminate(): void;
  /** Stops and restarts reading: what the client sends meanwhile waits in its own socket. */
  pause(): void;
  resume(): void;
}

/** `open` → `closing` (goodbye said) → `closed` (socket gone). */
export type ConnectionState = 'open' | 'closing' | 'closed';

export interface Identity {
  /**
   * What replies carry as `socket_id`. Of a native client 20 characters of `[A-Za-z0-9_-]`, which `?sid=` names; of a
   * Pusher client two numbers with a dot between them.
   */
  readonly id: string;
  readonly appKey: string;
  readonly userId: string;
}

/** Shared by all who have none. */
export const NO_REMOTES: readonly string[] = [];

/**
 * One client. A plain record beside one socket: nothing holds a connection through a closure, so that it can
 * be described, and one day moved, by its fields alone.
 */
export class Connection {
  // What a delivery looks at comes first: V8 lays fields out in their order, and these share a line of the cache.
  readonly transport: Transport;
  state: ConnectionState = 'open';
  /** Owned by the send queue: what leaves at the end of this turn. */
  pending: Frames[] | undefined = undefined;
  /** Something was said, by it or to it, since the inactivity last looked; pings of ours and their answers are nothing. */
  hadTraffic = true;

  readonly id: string;
  readonly appKey: string;
  /** Owned by the hub, which finds connections by it. Empty for a client without a name. */
  userId: string;
  readonly protocol: WireProtocol<Connection>;
  grants: Grants;
  /** Names of the commands that it may send to the backend. */
  remotes: readonly string[] = NO_REMOTES;
  /** When its token expires, in ms since 1970. */
  expiresAt: number | undefined = undefined;
  /** The error that ended it; the first one wins. */
  closeError: ErrorEntry | undefined = undefined;

  /** Owned by the hub: where it is subscribed. */
  subscriptions: SubscriberGroup<Connection>[] = [];
  /** Owned by the hub: the channels in which it goes by another name than its own. */
  members: Map<string, Member> | undefined = undefined;
  /** Owned by the Pusher protocol: what it knows of a client of its own. */
  pusher: PusherSession | undefined = undefined;
  /** Owned by the receive queue: messages that wait until the command before them is finished. */
  backlog: InboundMessage[] | undefined = undefined;
  /** Owned by the receive queue: commands in the second, and faults in the minute, in which it last looked. */
  commandSecond = 0;
  commands = 0;
  /** Owned by the receive queue: frames in that second that are no whole messages, and the last ping not answered yet. */
  frames = 0;
  latePing: Buffer | undefined = undefined;
  protocolErrorMinute = 0;
  protocolErrors = 0;
  /** Owned by the client events: those since a time, in ms of `performance.now()`, that is renewed each second. */
  clientEventsSince = 0;
  clientEvents = 0;
  /** Owned by the heartbeat: what it found when it last looked. */
  receivedBytes = -1;
  sentBytes = 0;
  /** Owned by the heartbeat: bytes that may still be on their way to the client. */
  undrainedBytes = 0;
  /** Owned by the heartbeat: `sentBytes` when the client was pinged; `undefined` if it was not, or was heard since. */
  pingedAt: number | undefined = undefined;
  /** Owned by the heartbeat: looks for which the pong may still wait behind other bytes. */
  pingChecks = 0;
  /** A pong has come since the last look of the heartbeat. */
  ponged = false;
  /** Owned by the pace of joins: when those so far are paid for, in ms of `performance.now()`. */
  joinsPaidAt = 0;
  /** Owned by the expiry: the second in which it is looked at. */
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

export interface InboundMessage {
  readonly data: Buffer;
  readonly isBinary: boolean;
}
