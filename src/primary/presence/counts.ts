import type { AppCounts, ChannelCounts } from '../../shared/model/presence.ts';
import { OrderedMap } from './ordered-map.ts';

/** The subscriptions and users of one channel, on all workers and hosts. */
export class ChannelPresence {
  subscriptions = 0;
  /** Subscriptions of each named user. */
  readonly users = new OrderedMap<number>();
  /** `user_info` of the members; few channels have any. */
  infos: Map<string, string> | undefined;

  get counts(): ChannelCounts {
    return { subscriptions: this.subscriptions, users: this.users.size };
  }
}

/** The connections, users and channels of one app, on all workers and hosts. */
export class AppPresence {
  connections = 0;
  subscriptions = 0;
  /** Connections of each named user. */
  readonly users = new OrderedMap<number>();
  readonly channels = new OrderedMap<ChannelPresence>();

  get isEmpty(): boolean {
    return this.connections === 0 && this.channels.size === 0;
  }

  get counts(): AppCounts {
    const { connections, subscriptions } = this;
    return { connections, users: this.users.size, channels: this.channels.size, subscriptions };
  }
}
