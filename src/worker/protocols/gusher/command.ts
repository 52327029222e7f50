import type { ErrorCode, ErrorEntry } from '../../../shared/errors/catalogue.ts';
import { sliceMembers, stringOf } from '../../../shared/json/raw-json.ts';
import type { Publication } from '../../../shared/model/publication.ts';
import type { Connection } from '../../connection/connection.ts';
import type { Hub } from '../../hub/hub.ts';

/**
 * One message of a client: `{"event", "id"?, "data"?}`. Ids and data are kept as the JSON text the client
 * wrote, so that they come back to it unchanged.
 */
export interface Command {
  readonly event: string | undefined;
  /** `id` beside `event`, if it can be echoed. */
  readonly outerId: string | undefined;
  /** `id` inside `data`, where the seed has it, if it can be echoed. */
  readonly innerId: string | undefined;
  /** An id is there that cannot be echoed. */
  readonly hasBadId: boolean;
  /** The text of `channel` beside `event`: where client events have it. */
  readonly channel: string | undefined;
  /** The text of `data`, whatever it is. */
  readonly data: string | undefined;
  /** The members of `data` if it is an object. */
  readonly fields: ReadonlyMap<string, string>;
}

/** What the commands work with. */
export interface Context {
  readonly hub: Pick<Hub, 'subscribe' | 'unsubscribe' | 'isSubscribed' | 'hasRoomFor'>;
  /** Sends one message, after those posted before. */
  readonly reply: (connection: Connection, text: string) => void;
  /** Notes that a token was refused. */
  readonly authorizationRefused: (connection: Connection, error: ErrorEntry) => void;
  /** Counts a fault against a client. */
  readonly countProtocolError: (connection: Connection) => void;
  /** Gives a connection what a new token grants; rejects with a `GusherError`. */
  readonly refreshToken: (connection: Connection, token: string) => Promise<void>;
  /** Publishes an event of a client to the others in the channel; rejects with a `GusherError`. */
  readonly publishFromClient: (connection: Connection, publication: Publication) => Promise<void>;
  /** Hands a command to the backend of the app; rejects with a `GusherError`. */
  readonly callRemote: (
    connection: Connection,
    call: { name: string; uid: string; payload: string },
  ) => Promise<void>;
  readonly subscriptionsMax: number;
  /** Ms since 1970. */
  readonly now: () => number;
}

/**
 * Carries out a command and answers it; a promise means that it is not finished yet. A code means that the
 * message is no such command: nothing was done, nothing was answered.
 */
export type CommandHandler = (
  context: Context,
  connection: Connection,
  command: Command,
) => Promise<void> | ErrorCode | undefined;

/** Longest `id` that is echoed, as JSON text. */
const ID_MAX_BYTES = 256;
/** How the text of an object or a list begins. */
const NESTED = /^[{[]/;
const NO_FIELDS: ReadonlyMap<string, string> = new Map();

/** Reads a message; `undefined` if it is not one JSON object. */
export function parseCommand(text: string): Command | undefined {
  const members = sliceMembers(text);
  if (members === undefined) return undefined;
  const event = stringOf(members.get('event'));
  const data = members.get('data');
  const fields = event === 'gusher.ping' ? NO_FIELDS : fieldsOf(data);
  const outerId = members.get('id');
  const innerId = fields.get('id');
  return {
    event,
    outerId: isEchoable(outerId) ? outerId : undefined,
    innerId: isEchoable(innerId) ? innerId : undefined,
    hasBadId: !isEchoable(outerId) || !isEchoable(innerId),
    channel: members.get('channel'),
    data,
    fields,
  };
}

function fieldsOf(data: string | undefined): ReadonlyMap<string, string> {
  return (data?.startsWith('{') ? sliceMembers(data) : undefined) ?? NO_FIELDS;
}

/** An id that is absent is one too. */
function isEchoable(id: string | undefined): boolean {
  return id === undefined || (!NESTED.test(id) && Buffer.byteLength(id) <= ID_MAX_BYTES);
}
