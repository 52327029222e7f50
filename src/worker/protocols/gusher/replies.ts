import { ERRORS, type ErrorCode } from '../../../shared/errors/catalogue.ts';
import type { Connection } from '../../connection/connection.ts';
import type { Command } from './command.ts';

/** The members of a reply's `data`: names and JSON texts, in order. */
export type Members = readonly (readonly [name: string, json: string])[];

/** The reply to a command that was carried out. */
export function successText(connection: Connection, command: Command, members: Members): string {
  return replyText(connection, `${command.event}_succeeded`, command, members);
}

/** The reply to a command that was refused: what it was about, then why. */
export function commandErrorText(
  connection: Connection,
  command: Command,
  members: Members,
  code: ErrorCode,
): string {
  return replyText(connection, `${command.event}_error`, command, [...members, ...reasonOf(code)]);
}

/** `gusher.subscribe_error`, unasked: the client was subscribed to the channel and is no more. */
export function lostSubscriptionText(connection: Connection, channel: string): string {
  const members: Members = [['channel', JSON.stringify(channel)], ...reasonOf('subscription_refused')];
  return replyText(connection, 'gusher.subscribe_error', undefined, members);
}

/** `gusher.error`: the reply to what is no command. Without `command` nothing of the message could be read. */
export function errorText(connection: Connection, command: Command | undefined, code: ErrorCode): string {
  return replyText(connection, 'gusher.error', command, reasonOf(code));
}

/** The reply to a ping: `data` is the client's own, so no id is put into it. */
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
