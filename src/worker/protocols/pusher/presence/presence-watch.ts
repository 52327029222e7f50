import { topicOf } from '../../../../shared/model/names.ts';
import {
  type MemberList,
  PRESENCE_PAGE_MAX,
  type PresenceEvent,
  type PresenceJoin,
} from '../../../../shared/model/presence.ts';
import type { JoinCallback, PresenceClient, QueryCallback } from '../../../ipc/presence-client.ts';
import { memberAddedText, memberRemovedText } from '../messages.ts';

/** Sends a text to the subscribers of this protocol at this worker. */
export type Announce = (appKey: string, channelName: string, text: string) => void;

/** Watches the presence channels of Pusher clients, and sends `member_added` and `member_removed`. */
export class PresenceWatch {
  readonly #presence: Pick<PresenceClient, 'join' | 'subscribe' | 'unsubscribe'>;
  readonly #announce: Announce;
  readonly #watched = new Set<string>();

  constructor(options: {
    presence: Pick<PresenceClient, 'join' | 'subscribe' | 'unsubscribe'>;
    announce: Announce;
  }) {
    this.#presence = options.presence;
    this.#announce = options.announce;
  }

  /**
   * Adds a member, if the channel is not full. `callback` receives the member list or the error. Later changes are
   * announced to the subscribers.
   */
  enter(join: PresenceJoin, callback: JoinCallback): void {
    this.#watched.add(topicOf(join.app, join.channel));
    this.#presence.join(join, callback);
  }

  /** Requests the member list again, for a connection that is subscribed already. */
  refresh(app: string, channel: string, callback: QueryCallback<MemberList>): void {
    this.#presence.subscribe<'members'>(
      { kind: 'members', app, channel, limit: PRESENCE_PAGE_MAX },
      callback,
    );
  }

  /** Stops watching, after the last local subscriber has left. */
  leave(app: string, channel: string): void {
    if (!this.#watched.delete(topicOf(app, channel))) return;
    this.#presence.unsubscribe({ kind: 'members', app, channel, limit: 0 });
  }

  handleEvent(event: Extract<PresenceEvent, { kind: 'joined' | 'left' }>): void {
    const { app, channel, user } = event;
    const text = event.kind === 'joined' ? memberAddedText(channel, event) : memberRemovedText(channel, user);
    this.#announce(app, channel, text);
  }
}
