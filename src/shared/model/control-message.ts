import * as v from 'valibot';
import { sliceMembers } from '../json/raw-json.ts';
import { grantList } from './grants.ts';
import { isAppKey, isEventName, isPublicationId, isSocketId, isUserId } from './names.ts';

/**
 * Messages of a backend to the connections of a user, or to one socket, instead of the subscribers of a channel. They
 * go to every worker, because only the worker of a connection knows it. Any Redis client may have written them, so
 * gusher parses them with a schema and bounds.
 */

/** The topic on which brokers carry control messages. It has no `@`, so it is the topic of no channel. */
export const CONTROL_TOPIC = 'gusher:control';

const app = v.pipe(v.string(), v.check(isAppKey));
/** Never empty: an empty id would match all connections without a user. */
const user = v.pipe(v.string(), v.check(isUserId));
const socket = v.pipe(v.string(), v.check(isSocketId));
const event = v.pipe(v.string(), v.check(isEventName));
/** See `Publication.id`. */
const id = v.exactOptional(v.pipe(v.string(), v.check(isPublicationId)));
/** The JSON text of `data`, byte for byte as the backend wrote it. */
const data = v.string();

/** Without `event`, the client receives only `data`, as in gusher-cluster. */
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

/** A message to each connection of a user, or to one socket, outside of channels. */
export type DirectMessage = v.InferOutput<typeof toUser> | v.InferOutput<typeof toSocket>;
/** Adds to or replaces the grants of the open connections of a user. Later connections are not affected. */
export type GrantsChange = v.InferOutput<typeof grants>;
/** Closes all connections of a user. */
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

/** Parses a control message. Returns `undefined` if it is invalid. Absent `data` becomes null. */
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
