/** Which entries a tail receives. `channel` may end with `*`, which stands for any rest. */
export interface TailFilter {
  readonly app?: string;
  readonly channel?: string;
  readonly user?: string;
}

/** A request for the live entries of this host. */
export interface Tail {
  /** Unique among the tails of the host. */
  readonly id: number;
  readonly filter: TailFilter;
  /** Longer data of a publication is cut. */
  readonly dataMaxBytes: number;
}

/** Entries of one process for one tail: JSON texts, and the number of entries left out. */
export interface TailBatch {
  readonly tail: number;
  readonly lines: readonly string[];
  readonly dropped: number;
}

/** What a rejected client tried. */
export type RejectedAction = 'connect' | 'request' | 'subscribe' | 'authorization';

interface Subject {
  readonly app?: string | undefined;
  readonly channel?: string | undefined;
  readonly user?: string | undefined;
}

/** One thing that happened on this host. No entry has a token, a signature, a header or a URL. */
export type TailEntry = Subject &
  (
    | {
        /** `published`: accepted from a backend or client. `delivered`: to the subscribers on one worker. */
        readonly type: 'published' | 'delivered';
        readonly event?: string | undefined;
        /** The JSON text of the data. */
        readonly data: string;
        readonly subscribers?: number;
        /** The recipient of a message to one socket. */
        readonly connection?: string | undefined;
      }
    | {
        readonly type: 'connected' | 'disconnected';
        readonly connection: string;
        readonly protocol: string;
        readonly address?: string | undefined;
        /** The error with which the server closed the connection. */
        readonly code?: string | undefined;
      }
    | {
        /** The server accepts the request of a native client. */
        readonly type: 'handshake';
        readonly address?: string | undefined;
        readonly userAgent?: string | undefined;
        /** Whether a header of a proxy names the client, and whether one names the scheme. */
        readonly hasForwardedFor: boolean;
        readonly hasForwardedProto: boolean;
      }
    | {
        readonly type: 'rejected';
        readonly action: RejectedAction;
        readonly code: string;
        readonly connection?: string | undefined;
        readonly protocol?: string | undefined;
        readonly address?: string | undefined;
      }
  );

/**
 * Returns whether an entry belongs to a tail. `isFor` decides about a delivery, whose entry has no user: it returns
 * whether a user is among the subscribers.
 */
export function matchesTail(
  filter: TailFilter,
  entry: Subject,
  isFor: (user: string) => boolean = isForNone,
): boolean {
  if (filter.app !== undefined && entry.app !== filter.app) return false;
  if (filter.channel !== undefined && !matchesName(filter.channel, entry.channel)) return false;
  return filter.user === undefined || entry.user === filter.user || isFor(filter.user);
}

function matchesName(pattern: string, name: string | undefined): boolean {
  if (name === undefined) return false;
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function isForNone(): boolean {
  return false;
}
