import type { AppCounts, ChannelCounts } from '../../shared/model/presence.ts';
import { OrderedMap } from './ordered-map.ts';

/** Who is in one channel, on all workers and hosts together. */
export class ChannelPresence {
  subscriptions = 0;
  /** Subscriptions of each user with a name. */
  readonly users = new OrderedMap<number>();
  /** What members say of themselves; few channels have any. */
  infos: Map<string, string> | undefined;

  get counts(): ChannelCounts {
    return { subscriptions: this.subscriptions, users: this.users.size };
  }
}

/** Who is in one app. */
export class AppPresence {
  connections = 0;
  subscriptions = 0;
  /** Connections of each user with a name. */
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
