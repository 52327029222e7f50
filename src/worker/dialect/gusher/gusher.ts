import type { Refusal, RefusalCode } from '../../../shared/errors.ts';
import { envelopeOf, type Publication } from '../../../shared/publication.ts';
import { stringOf } from '../../../shared/raw-json.ts';
import type { Connection } from '../../connection.ts';
import type { Dialect } from '../dialect.ts';
import { textOf } from './binary.ts';
import { type Command, hasGoodIds, parseCommand } from './command.ts';
import type { Context } from './context.ts';
import { multiSubscribe } from './multi-subscribe.ts';
import { ping } from './ping.ts';
import { queryChannel } from './query-channel.ts';
import { errorText } from './reply.ts';
import { subscribe } from './subscribe.ts';
import { unsubscribe } from './unsubscribe.ts';

/** For refusals that name no close code of their own. */
const FALLBACK_CLOSE = 4000;

/** The native protocol, as `PROTOCOL.md` tells it. */
export class GusherDialect implements Dialect {
  readonly name = 'gusher';
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  receive(connection: Connection, message: Buffer, isBinary: boolean): Promise<void> | undefined {
    const text = textOf(message, isBinary);
    const command = text === undefined ? undefined : parseCommand(text);
    if (command === undefined) return this.#blame(connection, 'malformed_frame');
    if (!hasGoodIds(command)) return this.#blame(connection, 'bad_command', command);
    return this.#obey(connection, command);
  }

  encode(publication: Publication): string {
    return envelopeOf(publication);
  }

  closeOf({ close = FALLBACK_CLOSE, sentence }: Refusal): { code: number; reason: string } {
    return { code: close, reason: sentence };
  }

  #obey(connection: Connection, command: Command): Promise<void> | undefined {
    const context = this.#context;
    switch (command.event) {
      case 'gusher.subscribe':
        if (!hasString(command, 'channel')) return this.#blame(connection, 'bad_command', command);
        return subscribe(context, connection, command);
      case 'gusher.unsubscribe':
        if (!hasString(command, 'channel')) return this.#blame(connection, 'bad_command', command);
        return unsubscribe(context, connection, command) as undefined;
      case 'gusher.multi_subscribe': {
        const channels = stringsOf(command.fields.get('multi_channel') ?? '[]');
        if (channels === undefined) return this.#blame(connection, 'bad_command', command);
        return multiSubscribe(context, connection, command, channels);
      }
      case 'gusher.querychannel':
        return queryChannel(context, connection, command) as undefined;
      case 'gusher.ping':
        return ping(context, connection, command) as undefined;
      default:
        return this.#blame(connection, 'unknown_command', command);
    }
  }

  #blame(connection: Connection, code: RefusalCode, command?: Command): undefined {
    this.#context.reply(connection, errorText(connection, code, command));
    this.#context.fault(connection);
  }
}

function hasString({ fields }: Command, name: string): boolean {
  return stringOf(fields.get(name)) !== undefined;
}

function stringsOf(raw: string): string[] | undefined {
  const list = JSON.parse(raw) as unknown;
  return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
}
