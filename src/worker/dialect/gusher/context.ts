import type { Connection } from '../../connection.ts';
import type { Hub } from '../../hub.ts';

/** What the commands of the dialect work with. */
export interface Context {
  readonly hub: Pick<Hub, 'subscribe' | 'unsubscribe' | 'isSubscribed'>;
  /** Sends one message, after those posted before. */
  readonly reply: (connection: Connection, text: string) => void;
  /** Counts a fault against a client. */
  readonly fault: (connection: Connection) => void;
  readonly subscriptionsMax: number;
  /** Ms since 1970. */
  readonly now: () => number;
}
