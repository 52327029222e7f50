import * as v from 'valibot';
import { grantList } from '../apps/app.ts';
import { sliceMembers } from '../json/raw-json.ts';
import { isAppKey, isEventName, isPublicationId, isSocketId, isUserId } from './names.ts';

/**
 * What a backend tells the connections of a user, or one socket, rather than the subscribers of a channel. It
 * goes to every worker, since only the one that holds a connection knows of it. It may come from Redis, where
 * anybody may have typed it, so it is read with a schema and with bounds.
 */

/** The topic on which brokers carry control messages. It has no `@`, so it is the topic of no channel. */
export const CONTROL_TOPIC = 'gusher:control';

const app = v.pipe(v.string(), v.check(isAppKey));
/** Not empty: that would be everybody who has no name. */
const user = v.pipe(v.string(), v.check(isUserId));
const socket = v.pipe(v.string(), v.check(isSocketId));
const event = v.pipe(v.string(), v.check(isEventName));
/** As the `id` of a publication. */
const id = v.exactOptional(v.pipe(v.string(), v.check(isPublicationId)));
/** The JSON text of `data`, byte for byte as the backend wrote it. */
const data = v.string();

/** `event` names the message; without it `data` is all that the client gets, as upstream has it. */
const toUser = v.object({ kind: v.literal('toUser'), app, user, event: v.exactOptional(event), id, data });
const toSocket = v.object({
  kind: v.literal('toSocket'),
  app,
  socket,
  event: v.exactOptional(event),
  id,
  data,
});
const grants = v.object({
  kind: v.literal('grants'),
  app,
  user,
  mode: v.picklist(['add', 'replace']),
  channels: grantList,
  id,
});
const terminate = v.object({ kind: v.literal('terminate'), app, user, id });

const controlMessage = v.variant('kind', [toUser, toSocket, grants, terminate]);

/** To each connection of a user, or to one socket: a message beside the channels. */
export type DirectMessage = v.InferOutput<typeof toUser> | v.InferOutput<typeof toSocket>;
/** The grants of a user's open connections get more entries, or others. Later connections are not concerned. */
export type GrantsChange = v.InferOutput<typeof grants>;
/** Every connection of a user is closed. */
export type Termination = v.InferOutput<typeof terminate>;
export type ControlMessage = DirectMessage | GrantsChange | Termination;

export function isDirectMessage(message: ControlMessage): message is DirectMessage {
  return message.kind === 'toUser' || message.kind === 'toSocket';
}

/** The JSON text by which brokers carry a control message. */
export function encodeControlMessage(message: ControlMessage): string {
  if (!isDirectMessage(message)) return JSON.stringify(message);
  const { data: raw, ...rest } = message;
  return `${JSON.stringify(rest).slice(0, -1)},"data":${raw}}`;
}

/** Reads what `encodeControlMessage` made, or a person typed; `undefined` if it breaks a rule. Absent `data` is null. */
export function parseControlMessage(text: string): ControlMessage | undefined {
  const members = sliceMembers(text);
  if (members === undefined) return undefined;
  const fields: Record<string, unknown> = { data: members.get('data') ?? 'null' };
  for (const name of ['kind', 'app', 'user', 'socket', 'event', 'mode', 'channels', 'id']) {
    const raw = members.get(name);
    if (raw !== undefined) fields[name] = JSON.parse(raw);
  }
  const parsed = v.safeParse(controlMessage, fields);
  return parsed.success ? parsed.output : undefined;
}
