import { ERRORS, type ErrorCode, type ErrorEntry, GusherError } from '../../../shared/errors/catalogue.ts';
import type { DirectMessage } from '../../../shared/model/control-message.ts';
import type { PresenceEvent } from '../../../shared/model/presence.ts';
import type { Publication } from '../../../shared/model/publication.ts';
import { USER_CHANNEL_PREFIX } from '../../../shared/model/pusher-channel.ts';
import type { Connection } from '../../connection/connection.ts';
import type { WireProtocol } from '../../connection/wire-protocol.ts';
import { closeCodeOf } from './close-codes.ts';
import { type CommandHandler, type Context, fieldsOf, parseCommand } from './command.ts';
import { clientEvent } from './commands/client-event.ts';
import { ping, pong } from './commands/ping.ts';
import { signin } from './commands/signin.ts';
import { subscribe } from './commands/subscribe.ts';
import { unsubscribe } from './commands/unsubscribe.ts';
import {
  channelMessageText,
  closingErrorText,
  errorText,
  messageText,
  publicationText,
  subscriptionErrorText,
} from './messages.ts';

/** The event of a message to a user or a socket without an event name. */
const DEFAULT_EVENT = 'gusher.message';
/** Older clients read the close code from the `pusher:error` before the close. */
const FIRST_PROTOCOL_WITHOUT_ERROR = 6;

export interface PusherProtocolDependencies extends Context {
  /** Counts a protocol error of a client; too many in a minute end its connection. */
  readonly countProtocolError: (connection: Connection) => void;
  /** Sends everything enqueued before, and closes the connection with the error. */
  readonly close: (connection: Connection, error: ErrorEntry) => void;
}

/** The Pusher Channels protocol, versions 4 to 7. */
export class PusherProtocol implements WireProtocol<Connection> {
  readonly name = 'pusher';
  readonly #dependencies: PusherProtocolDependencies;

  constructor(dependencies: PusherProtocolDependencies) {
    this.#dependencies = dependencies;
  }

  receive(connection: Connection, message: Buffer, isBinary: boolean): Promise<void> | undefined {
    const outcome = this.#execute(connection, message, isBinary);
    if (!(outcome instanceof Promise)) {
      this.#sendError(connection, outcome);
      return undefined;
    }
    return outcome.then(
      (code) => this.#sendError(connection, code),
      (error: unknown) => this.#handleError(connection, error),
    );
  }

  encodeFailure(_connection: Connection, message: Buffer, isBinary: boolean): string {
    const command = isBinary ? undefined : parseCommand(message.toString('utf8'));
    const channel = command?.event === 'pusher:subscribe' ? fieldsOf(command).channel : undefined;
    return typeof channel === 'string'
      ? subscriptionErrorText(channel, 'ServerError', ERRORS.internal)
      : errorText(ERRORS.internal);
  }

  encode(publication: Publication): string {
    return publicationText(publication);
  }

  /** A message to a user carries the channel to which signed-in clients subscribe for such messages. */
  encodeDirect(message: DirectMessage): string {
    const event = message.event ?? DEFAULT_EVENT;
    if (message.kind === 'toSocket') return messageText(event, message.data);
    return channelMessageText(event, USER_CHANNEL_PREFIX + message.user, message.data);
  }

  closeFrameFor(error: ErrorEntry, { pusher }: Connection): { code: number; reason: string; text?: string } {
    const code = closeCodeOf(error, pusher?.isEstablished === true);
    const reason = error.message;
    const isNew = pusher === undefined || pusher.protocol >= FIRST_PROTOCOL_WITHOUT_ERROR;
    return isNew ? { code, reason } : { code, reason, text: closingErrorText(error, code) };
  }

  /** Sends `pusher:error` to a client of any protocol version, and closes its connection. */
  closeWithError(connection: Connection, error: ErrorEntry): void {
    const { reply, close } = this.#dependencies;
    // To clients of older versions every close sends it.
    if (this.closeFrameFor(error, connection).text === undefined) reply(connection, errorText(error));
    close(connection, error);
  }

  /** Stops the timers of the protocol. */
  close(): void {
    this.#dependencies.counts.close();
  }

  subscriptionRejected(connection: Connection, channelName: string): void {
    const text = subscriptionErrorText(channelName, 'ServerError', ERRORS.subscription_rejected);
    this.#dependencies.reply(connection, text, 'subscription_rejected');
  }

  channelVacated(appKey: string, channelName: string): void {
    this.#dependencies.presence.leave(appKey, channelName);
    this.#dependencies.counts.leave(appKey, channelName);
  }

  connectionClosed(connection: Connection): void {
    this.#dependencies.watchlists.remove(connection);
  }

  /** Passes changes in the presence registry to the parts that watch them. */
  handlePresenceEvents(events: readonly PresenceEvent[]): void {
    const { presence, counts, watchlists } = this.#dependencies;
    for (const event of events) {
      switch (event.kind) {
        case 'joined':
        case 'left':
          presence.handleEvent(event);
          break;
        case 'counted':
          counts.handleEvent(event);
          break;
        case 'online':
        case 'offline':
          watchlists.handleEvent(event);
          break;
        default:
          event satisfies never;
      }
    }
  }

  #execute(connection: Connection, message: Buffer, isBinary: boolean): ReturnType<CommandHandler> {
    // Text is valid UTF-8: ws closes the connection with 1007 otherwise.
    const command = isBinary ? undefined : parseCommand(message.toString('utf8'));
    const { pusher: session } = connection;
    if (command === undefined || session === undefined) return 'malformed_frame';
    const handler = handlerOf(command.event);
    return handler === undefined
      ? 'unknown_command'
      : handler(this.#dependencies, connection, command, session);
  }

  #sendError(connection: Connection, code: ErrorCode | undefined): void {
    if (code !== undefined) this.#reject(connection, ERRORS[code]);
  }

  #handleError(connection: Connection, error: unknown): void {
    if (!(error instanceof GusherError)) throw error;
    this.#reject(connection, error.entry);
  }

  #reject(connection: Connection, error: ErrorEntry): void {
    if (connection.state !== 'open') return;
    this.#dependencies.reply(connection, errorText(error), error.code);
    if (error.code === ERRORS.signin_rejected.code) {
      this.#dependencies.authorizationRejected(connection, error);
    }
    if (COUNTED_ERRORS.has(error.code)) this.#dependencies.countProtocolError(connection);
  }
}

/** Errors that a correct client causes rarely or never. They count as protocol errors. */
const COUNTED_ERRORS: ReadonlySet<string> = new Set<ErrorCode>([
  'malformed_frame',
  'unknown_command',
  'bad_command',
  'signin_rejected',
]);

function handlerOf(event: string): CommandHandler | undefined {
  switch (event) {
    case 'pusher:subscribe':
      return subscribe;
    case 'pusher:unsubscribe':
      return unsubscribe;
    case 'pusher:ping':
      return ping;
    case 'pusher:pong':
      return pong;
    case 'pusher:signin':
      return signin;
    default:
      return event.startsWith('client-') ? clientEvent : undefined;
  }
}
