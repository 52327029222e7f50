import { sliceMembers, stringOf } from '../../../shared/raw-json.ts';

/** Longest `id` that is echoed, as JSON text. */
const ID_MAX_LENGTH = 256;
const ID = /^(?:"|-?\d)/;

/**
 * One command of a client: `{"event", "id"?, "data"?}`. Ids and data are kept as the JSON text the client
 * wrote, so that they come back to it unchanged.
 */
export interface Command {
  readonly event: string;
  /** `id` beside `event`. */
  readonly outerId: string | undefined;
  /** `id` inside `data`, where the seed has it. */
  readonly innerId: string | undefined;
  /** The text of `data`, whatever it is. */
  readonly data: string | undefined;
  /** The members of `data` if it is an object. */
  readonly fields: ReadonlyMap<string, string>;
}

const NO_FIELDS: ReadonlyMap<string, string> = new Map();

/** Reads a message; `undefined` if it is not one JSON object with a string `event`. */
export function parseCommand(text: string): Command | undefined {
  const members = sliceMembers(text);
  const event = stringOf(members?.get('event'));
  if (members === undefined || event === undefined) return undefined;
  const data = members.get('data');
  const fields = (data?.startsWith('{') ? sliceMembers(data) : undefined) ?? NO_FIELDS;
  return { event, outerId: members.get('id'), innerId: fields.get('id'), data, fields };
}

/** Whether the ids of a command can be echoed: strings or numbers of bounded length. */
export function hasGoodIds({ outerId, innerId }: Command): boolean {
  return isGoodId(outerId) && isGoodId(innerId);
}

function isGoodId(id: string | undefined): boolean {
  return id === undefined || (id.length <= ID_MAX_LENGTH && ID.test(id));
}
