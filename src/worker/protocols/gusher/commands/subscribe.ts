import { type ErrorCode, GusherError } from '../../../../shared/errors/catalogue.ts';
import { stringOf } from '../../../../shared/json/raw-json.ts';
import { isChannelName, topicOf } from '../../../../shared/model/names.ts';
import { isPresenceChannel } from '../../../../shared/model/pusher-channel.ts';
import type { Connection } from '../../../connection/connection.ts';
import type { Command, CommandHandler, Context } from '../command.ts';
import { commandErrorText, type Members, successText } from '../replies.ts';

/** `gusher.subscribe` `{"channel"}`: a repeated subscription succeeds too. */
export const subscribe: CommandHandler = (context, connection, command) => {
  const channel = stringOf(command.fields.get('channel'));
  if (channel === undefined) return 'bad_command';
  return join(context, connection, command, [channel], [['channel', JSON.stringify(channel)]]);
};

/**
 * Subscribes to all of the channels or to none. Answers when the client receives everything that is published from then
 * on. `members` relate the reply to the command.
 */
function join(
  context: Context,
  connection: Connection,
  command: Command,
  channels: readonly string[],
  members: Members,
): Promise<void> | undefined {
  const { hub, reply } = context;
  const errorCode = subscriptionError(context, connection, channels);
  if (errorCode !== undefined) {
    context.subscriptionRejected(connection, errorCode, channels[0]);
    reply(connection, commandErrorText(connection, command, members, errorCode), errorCode);
    return undefined;
  }
  const answer = (): undefined => {
    // The client may have disconnected in the meantime.
    if (connection.state === 'open') reply(connection, successText(connection, command, members));
  };
  const newChannels = channels.filter((channel) => !hub.isSubscribed(connection, channel));
  const reject = (error: unknown): void => {
    if (!(error instanceof GusherError)) throw error;
    for (const channel of newChannels) hub.unsubscribe(connection, channel);
    context.subscriptionRejected(connection, error.code, newChannels[0]);
    if (connection.state === 'open')
      reply(connection, commandErrorText(connection, command, members, error.code), error.code);
  };
  const { grants } = connection;
  const subscribeToAll = (): Promise<void> | undefined => {
    // A control message may have replaced the grants in the meantime.
    const isGranted =
      connection.grants === grants || channels.every((name) => connection.grants.allows(name));
    if (!isGranted) throw new GusherError('not_granted');
    const joining = channels
      .map((channel) => hub.subscribe(connection, channel))
      .filter((promise) => promise !== undefined);
    return joining.length === 0 ? answer() : Promise.all(joining).then(answer);
  };
  const subscribeWithin = (): Promise<void> | undefined =>
    hub.runWithin(connection, channels, subscribeToAll);
  try {
    const waiting = paceJoins(context, connection, newChannels);
    const outcome = waiting === undefined ? subscribeWithin() : waiting.then(subscribeWithin);
    return outcome?.catch(reject);
  } catch (error) {
    reject(error);
    return undefined;
  }
}

/**
 * Waits until the client may join the presence channels of the list. Attack: a user that joins and leaves as fast as it can,
 * which Pusher clients in the channel receive as `member_added` and `member_removed`.
 */
function paceJoins(
  { joinPace }: Context,
  connection: Connection,
  channels: readonly string[],
): Promise<unknown> | undefined {
  // A client without a user id is not a member.
  if (connection.userId === '') return undefined;
  const waiting = channels
    .filter(isPresenceChannel)
    .map((channel) => joinPace.wait(connection, topicOf(connection.appKey, channel)))
    .filter((promise) => promise !== undefined);
  return waiting.length === 0 ? undefined : Promise.all(waiting);
}

/** Attack: a long list costs a check of every grant for each name. Its length is checked first. */
function subscriptionError(
  { hub, subscriptionsMax }: Context,
  connection: Connection,
  channels: readonly string[],
): ErrorCode | undefined {
  if (channels.length > subscriptionsMax) return 'too_many_subscriptions';
  if (!channels.every(isChannelName)) return 'bad_channel';
  if (!channels.every((channel) => connection.grants.allows(channel))) return 'not_granted';
  const newChannels = channels.filter((channel) => !hub.isSubscribed(connection, channel));
  const subscriptions = connection.subscriptions.length + newChannels.length;
  return newChannels.length > 0 && subscriptions > subscriptionsMax ? 'too_many_subscriptions' : undefined;
}

/**
 * `gusher.multi_subscribe` `{"multi_channel": [...]}`: subscribes to all or none. The reply has the list as
 * `multi_channel` (documents of upstream) and as `channel` (code of upstream, gusher-js).
 */
export const multiSubscribe: CommandHandler = (context, connection, command) => {
  const channels = listOf(command.fields.get('multi_channel'));
  if (channels === undefined) return 'bad_command';
  const json = JSON.stringify(channels);
  const members: Members = [
    ['channel', json],
    ['multi_channel', json],
  ];
  if (channels.length > 0) return join(context, connection, command, [...new Set(channels)], members);
  // Upstream answers an empty and an absent list with the error reply of the command.
  context.reply(connection, commandErrorText(connection, command, members, 'bad_command'), 'bad_command');
  return undefined;
};

/** `undefined` if the text is not a list of strings. No text is an empty list. */
function listOf(raw = '[]'): string[] | undefined {
  const list: unknown = JSON.parse(raw);
  return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
}
