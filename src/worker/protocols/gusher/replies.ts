import { ERRORS, type ErrorCode } from '../../../shared/errors/catalogue.ts';
import type { Connection } from '../../connection/connection.ts';
import type { Command } from './command.ts';

/** The members of `data` in a reply, in order: names and JSON texts. */
export type Members = readonly (readonly [name: string, json: string])[];

/** The reply to a command that succeeded. */
export function successText(connection: Connection, command: Command, members: Members): string {
  return replyText(connection, `${command.event}_succeeded`, command, members);
}

/** The reply to a command that failed: its subject, then the error. */
export function commandErrorText(
  connection: Connection,
  command: Command,
  members: Members,
  code: ErrorCode,
): string {
  return replyText(connection, `${command.event}_error`, command, [...members, ...reasonOf(code)]);
}

/** `gusher.subscribe_error` without a command: the client has lost its subscription. */
export function lostSubscriptionText(connection: Connection, channel: string): string {
  const members: Members = [['channel', JSON.stringify(channel)], ...reasonOf('subscription_rejected')];
  return replyText(connection, 'gusher.subscribe_error', undefined, members);
}

/** `gusher.error`: the reply to a message that is not a command. `command` is absent if parsing failed. */
export function errorText(connection: Connection, command: Command | undefined, code: ErrorCode): string {
  return replyText(connection, 'gusher.error', command, reasonOf(code));
}

/** The reply to a ping. `data` is the value of the client, so it gets no id. */
export function pongText(connection: Connection, { outerId, data = 'null' }: Command, time: number): string {
  return `${openingOf(connection, 'gusher.pong_succeeded', outerId)}"data":${data},"time":${time}}`;
}

/** The order of keys is part of the protocol: `event`, `id`, `socket_id`, `data`; in data `id` first. */
function replyText(
  connection: Connection,
  event: string,
  command: Command | undefined,
  members: Members,
): string {
  const texts = members.map(([name, json]) => `"${name}":${json}`);
  if (command?.innerId !== undefined) texts.unshift(`"id":${command.innerId}`);
  return `${openingOf(connection, event, command?.outerId)}"data":{${texts.join(',')}}}`;
}

function openingOf({ id }: Connection, event: string, outerId: string | undefined): string {
  const echoed = outerId === undefined ? '' : `"id":${outerId},`;
  return `{"event":"${event}",${echoed}"socket_id":"${id}",`;
}

function reasonOf(code: ErrorCode): Members {
  return [
    ['code', JSON.stringify(code)],
    ['message', JSON.stringify(ERRORS[code].message)],
  ];
}
