import { REFUSALS, type RefusalCode } from '../../../shared/errors.ts';
import type { Connection } from '../../connection.ts';
import { type Command, hasGoodIds } from './command.ts';

/** The members of a reply's `data`: names and JSON texts, in order. */
export type Members = readonly (readonly [name: string, json: string])[];

/** The text of a reply: `event`, the ids that came with the command, `socket_id`, `data`. */
export function replyText(connection: Connection, event: string, command: Command, members: Members): string {
  const inner = command.innerId === undefined ? members : [['id', command.innerId] as const, ...members];
  return envelope(connection, event, command.outerId, objectText(inner));
}

/** The reply to a command that was refused: what it was about, then `code` and `message`. */
export function refusalText(
  connection: Connection,
  event: string,
  command: Command,
  members: Members,
  code: RefusalCode,
): string {
  return replyText(connection, event, command, [...members, ...reasonOf(code)]);
}

/** `gusher.error`, for what cannot be answered as a command. */
export function errorText(connection: Connection, code: RefusalCode, command?: Command): string {
  if (command !== undefined && hasGoodIds(command)) {
    return refusalText(connection, 'gusher.error', command, [], code);
  }
  return envelope(connection, 'gusher.error', undefined, objectText(reasonOf(code)));
}

function reasonOf(code: RefusalCode): Members {
  return [
    ['code', JSON.stringify(code)],
    ['message', JSON.stringify(REFUSALS[code].sentence)],
  ];
}

function envelope({ id }: Connection, event: string, outerId: string | undefined, data: string): string {
  const echoed = outerId === undefined ? '' : `"id":${outerId},`;
  return `{"event":"${event}",${echoed}"socket_id":"${id}","data":${data}}`;
}

function objectText(members: Members): string {
  return `{${members.map(([name, json]) => `"${name}":${json}`).join(',')}}`;
}
