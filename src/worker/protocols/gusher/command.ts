import type { ErrorCode, ErrorEntry } from '../../../shared/errors/catalogue.ts';
import { sliceMembers, stringOf } from '../../../shared/json/raw-json.ts';
import type { Publication } from '../../../shared/model/publication.ts';
import type { Connection, Reply } from '../../connection/connection.ts';
import type { Hub } from '../../hub/hub.ts';
import type { JoinPace } from '../../limits/join-pace.ts';

/**
 * One message of a client: `{"event", "id"?, "data"?}`. Ids and data keep the JSON text of the client, so that replies
 * echo them unchanged.
 */
export interface Command {
  readonly event: string | undefined;
  /** `id` beside `event`, if it can be echoed. */
  readonly outerId: string | undefined;
  /** `id` inside `data`, as in gusher.cluster, if it can be echoed. */
  readonly innerId: string | undefined;
  /** Whether the message has an id that cannot be echoed. */
  readonly hasBadId: boolean;
  /** The JSON text of `channel` beside `event`, as in client events. */
  readonly channel: string | undefined;
  /** The JSON text of `data`. */
  readonly data: string | undefined;
  /** The members of `data`, if it is an object. */
  readonly fields: ReadonlyMap<string, string>;
}

/** The dependencies of the commands. */
export interface Context {
  readonly hub: Pick<Hub, 'subscribe' | 'unsubscribe' | 'isSubscribed' | 'runWithin'>;
  readonly joinPace: Pick<JoinPace, 'wait'>;
  /** Sends one message, after those enqueued before. */
  readonly reply: Reply;
  /** Logs that a token was rejected. */
  readonly authorizationRejected: (connection: Connection, error: ErrorEntry) => void;
  /** Shows a rejected subscription to tails. */
  readonly subscriptionRejected: (connection: Connection, code: ErrorCode, channel?: string) => void;
  /** Counts a protocol error of a client; too many in a minute end its connection. */
  readonly countProtocolError: (connection: Connection) => void;
  /** Applies the grants of a new token. Rejects with a `GusherError`. */
  readonly refreshToken: (connection: Connection, token: string) => Promise<void>;
  /** Publishes a client event to the other subscribers of the channel. Rejects with a `GusherError`. */
  readonly publishFromClient: (connection: Connection, publication: Publication) => Promise<void>;
  /** Sends a command to the backend of the app. Rejects with a `GusherError`. */
  readonly callRemote: (
    connection: Connection,
    call: { name: string; uid: string; payload: string },
  ) => Promise<void>;
  readonly subscriptionsMax: number;
  /** Ms since 1970. */
  readonly now: () => number;
}

/**
 * Executes a command and answers it. A promise is pending until the command is finished. An error code means that the
 * message is malformed: the handler did nothing and sent no answer.
 */
export type CommandHandler = (
  context: Context,
  connection: Connection,
  command: Command,
) => Promise<void> | ErrorCode | undefined;

/** Length limit of an echoed `id`, as JSON text. */
const ID_MAX_BYTES = 256;
/** The start of an object or a list. */
const NESTED = /^[{[]/;
const NO_FIELDS: ReadonlyMap<string, string> = new Map();

/** Parses a message. `undefined` if it is not a JSON object. */
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

/** An absent id counts as echoable. */
function isEchoable(id: string | undefined): boolean {
  return id === undefined || (!NESTED.test(id) && Buffer.byteLength(id) <= ID_MAX_BYTES);
}
