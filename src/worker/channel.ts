import type { Connection } from './connection.ts';
import type { Dialect } from './dialect/dialect.ts';
import type { Frames } from './frame.ts';

/** This worker's subscribers to one channel of one app, and its one subscription to the topic. */
export class Channel {
  readonly topic: string;
  /** Resolves when the topic is live; `undefined` once it is. */
  joining: Promise<void> | undefined = undefined;
  /** One for each dialect that has a subscriber here. */
  readonly audiences: Audience[] = [];

  constructor(topic: string) {
    this.topic = topic;
  }
}

/** The subscribers of one channel that speak one dialect: those who share the same bytes. */
export class Audience {
  readonly channel: Channel;
  readonly dialect: Dialect;
  readonly connections = new Set<Connection>();

  /** Owned by the fan-out: frames published and not yet begun. */
  waiting: Frames[] = [];
  waitingBytes = 0;
  /** Owned by the fan-out: the frames being written, and who has still to get them. */
  current: Frames | undefined = undefined;
  remaining: IterableIterator<Connection> | undefined = undefined;

  constructor(channel: Channel, dialect: Dialect) {
    this.channel = channel;
    this.dialect = dialect;
  }
}
