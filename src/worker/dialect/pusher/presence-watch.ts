import type { MemberList, RosterEvent } from '../../../shared/roster.ts';
import { topicOf } from '../../../shared/topic.ts';
import type { AnswerTaker, RosterClient } from '../../roster/roster-client.ts';
import { memberAddedText, memberRemovedText } from './messages.ts';

/** Sends a text to the clients of this dialect that are subscribed to the channel here. */
export type Announce = (appKey: string, channelName: string, text: string) => void;

/** Watches the presence channels of this worker's Pusher clients, and tells them who comes and goes. */
export class PresenceWatch {
  readonly #roster: Pick<RosterClient, 'watch' | 'unwatch'>;
  readonly #announce: Announce;
  readonly #watched = new Set<string>();

  constructor(options: { roster: Pick<RosterClient, 'watch' | 'unwatch'>; announce: Announce }) {
    this.#roster = options.roster;
    this.#announce = options.announce;
  }

  /** Somebody subscribes: `take` gets who is there; whoever comes or goes later is announced. */
  enter(app: string, channel: string, limit: number, take: AnswerTaker<MemberList>): void {
    this.#watched.add(topicOf(app, channel));
    this.#roster.watch<'members'>({ kind: 'members', app, channel, limit }, take);
  }

  /** Nobody is subscribed any more. */
  leave(app: string, channel: string): void {
    if (!this.#watched.delete(topicOf(app, channel))) return;
    this.#roster.unwatch({ kind: 'members', app, channel, limit: 0 });
  }

  hear(event: Extract<RosterEvent, { kind: 'joined' | 'left' }>): void {
    const { app, channel, user } = event;
    const text = event.kind === 'joined' ? memberAddedText(channel, event) : memberRemovedText(channel, user);
    this.#announce(app, channel, text);
  }
}
