/** What Sentinels publish when another Redis has become the master: its name, and the two addresses. */
const SWITCHED = '+switch-master';

/** A connection to one Sentinel; it reconnects by itself. */
export interface SentinelConnection {
  on(event: 'ready', listener: () => void): unknown;
  on(event: 'message', listener: (channel: string, message: string) => void): unknown;
  connect(): Promise<void>;
  subscribe(channel: string): Promise<unknown>;
  disconnect(): void;
}

/** A client of the master; it tells when it is used no more. */
export interface Follower {
  once(event: 'end', listener: () => void): unknown;
}

/**
 * Has clients of a master follow it to another Redis as soon as a Sentinel says so. A master that has to step down goes on
 * as if nothing were for ten seconds, until a Sentinel ends its connections; one that is cut off is not told at all.
 */
export class SentinelWatch<Client extends Follower> {
  readonly #connections: readonly SentinelConnection[];
  readonly #followers = new Set<Client>();
  readonly #abandoned: () => void;

  /** `switched` is called for each follower and each Sentinel that says so; `abandoned` when nobody follows any more. */
  constructor(options: {
    name: string;
    connections: readonly SentinelConnection[];
    switched: (client: Client) => void;
    abandoned: () => void;
  }) {
    const { name, connections, switched, abandoned } = options;
    this.#connections = connections;
    this.#abandoned = abandoned;
    for (const connection of connections) {
      connection.on('ready', () => void connection.subscribe(SWITCHED).catch(ignoreUntilBack));
      connection.on('message', (_channel, message) => {
        if (message.startsWith(`${name} `)) for (const client of this.#followers) switched(client);
      });
      connection.connect().catch(ignoreUntilBack);
    }
  }

  follow(client: Client): void {
    this.#followers.add(client);
    client.once('end', () => {
      this.#followers.delete(client);
      if (this.#followers.size > 0) return;
      for (const connection of this.#connections) connection.disconnect();
      this.#abandoned();
    });
  }
}

/** A Sentinel may be away at any time; the others are listened to meanwhile. */
function ignoreUntilBack(): void {}
