import { ERRORS, type ErrorCode, type ErrorEntry, type Reconnect } from '../../../shared/errors/catalogue.ts';
import type { DirectMessage, GrantsChange } from '../../../shared/model/control-message.ts';
import { envelopeOf, type Publication } from '../../../shared/model/publication.ts';
import type { Connection } from '../../connection/connection.ts';
import type { WireProtocol } from '../../connection/wire-protocol.ts';
import { textOf } from './binary-text.ts';
import { type Command, type CommandHandler, type Context, parseCommand } from './command.ts';
import { CLIENT_EVENT_PREFIX, clientEvent } from './commands/client-event.ts';
import { ping } from './commands/ping.ts';
import { queryChannel } from './commands/query-channel.ts';
import { refresh } from './commands/refresh.ts';
import { remote } from './commands/remote.ts';
import { multiSubscribe, subscribe } from './commands/subscribe.ts';
import { unsubscribe } from './commands/unsubscribe.ts';
import { commandErrorText, errorText, lostSubscriptionText } from './replies.ts';

/** Close codes for errors without one. The range defines whether and when the client reconnects. */
const CLOSE_CODES: Readonly<Record<Reconnect, number>> = { never: 4000, backoff: 4100, immediate: 4200 };

/** RFC 6455 §5.5: a control frame carries at most 125 bytes, and two of them are the code. Messages are ASCII. */
const CLOSE_REASON_MAX_BYTES = 123;
/** Commands with an `_error` reply of their own. */
const WITH_ERROR_REPLY: ReadonlySet<string> = new Set([
  'gusher.subscribe',
  'gusher.unsubscribe',
  'gusher.multi_subscribe',
  'gusher.querychannel',
  'gusher.refresh',
  'gusher.remote',
]);
/** The fields by which a client relates an error reply to its command. */
const SUBJECTS = ['channel', 'multi_channel', 'remote'] as const;

/** The native protocol, specified in `PROTOCOL.md`. */
export class GusherProtocol implements WireProtocol {
  readonly name = 'gusher';
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  receive(connection: Connection, message: Buffer, isBinary: boolean): Promise<void> | undefined {
    const text = textOf(message, isBinary);
    const command = text === undefined ? undefined : parseCommand(text);
    const outcome = command === undefined ? 'malformed_frame' : this.#execute(connection, command);
    if (typeof outcome !== 'string') return outcome;
    this.#context.reply(connection, errorText(connection, command, outcome), outcome);
    this.#context.countProtocolError(connection);
    return undefined;
  }

  /** Uses the `_error` reply of the command, if it has one, with the fields of its subject. */
  encodeFailure(connection: Connection, message: Buffer, isBinary: boolean): string {
    const text = textOf(message, isBinary);
    const command = text === undefined ? undefined : parseCommand(text);
    if (command?.event === undefined || !WITH_ERROR_REPLY.has(command.event)) {
      return errorText(connection, command, 'internal');
    }
    const members = SUBJECTS.flatMap((name): [string, string][] => {
      const json = command.fields.get(name);
      return json === undefined ? [] : [[name, json]];
    });
    return commandErrorText(connection, command, members, 'internal');
  }

  encode(publication: Publication): string {
    return envelopeOf(publication);
  }

  /** Without an event: the bare data, as upstream sends it. */
  encodeDirect({ event, data }: DirectMessage): string {
    return event === undefined ? data : `{"event":${JSON.stringify(event)},"data":${data}}`;
  }

  /** Equal to upstream, including the empty `socket_id`. One frame serves all connections of the user. */
  encodeGrantsChange({ mode, channels }: GrantsChange): string {
    if (mode === 'replace') {
      return JSON.stringify({ data: { channels }, event: 'gusher.reloadchannel', socket_id: '' });
    }
    const channel = channels.length === 1 ? channels[0] : channels;
    return JSON.stringify({ data: { channel }, event: 'gusher.addchannel', socket_id: '' });
  }

  encodeExpiry(graceMs: number): string {
    const { code, message } = ERRORS.token_expired;
    const data = { code, message, grace_ms: graceMs };
    return JSON.stringify({ event: 'gusher.token_expired', data });
  }

  closeFrameFor({ close, reconnect, message }: ErrorEntry): { code: number; reason: string } {
    return { code: close ?? CLOSE_CODES[reconnect], reason: message };
  }

  /** Never 42xx: a client that is rejected repeatedly must not reconnect at once. */
  rejection(error: ErrorEntry): { code: number; reason: string; text: string } {
    const { code: close, reason } = this.closeFrameFor(error);
    const data = { code: error.code, message: error.message };
    return {
      code: close >= CLOSE_CODES.immediate ? CLOSE_CODES.backoff : close,
      reason: reason.slice(0, CLOSE_REASON_MAX_BYTES),
      text: JSON.stringify({ event: 'gusher.error', socket_id: '', data }),
    };
  }

  subscriptionRejected(connection: Connection, channelName: string): void {
    this.#context.reply(connection, lostSubscriptionText(connection, channelName), 'subscription_rejected');
  }

  #execute(connection: Connection, command: Command): Promise<void> | ErrorCode | undefined {
    if (command.event === undefined) return 'malformed_frame';
    const handler = handlerOf(command.event);
    if (handler === undefined) return 'unknown_command';
    return command.hasBadId ? 'bad_command' : handler(this.#context, connection, command);
  }
}

function handlerOf(event: string): CommandHandler | undefined {
  switch (event) {
    case 'gusher.subscribe':
      return subscribe;
    case 'gusher.unsubscribe':
      return unsubscribe;
    case 'gusher.multi_subscribe':
      return multiSubscribe;
    case 'gusher.querychannel':
      return queryChannel;
    case 'gusher.ping':
      return ping;
    case 'gusher.refresh':
      return refresh;
    case 'gusher.remote':
      return remote;
    default:
      return event.startsWith(CLIENT_EVENT_PREFIX) ? clientEvent : undefined;
  }
}
