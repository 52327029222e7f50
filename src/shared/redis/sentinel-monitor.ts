/** What Sentinels publish when another Redis has become the master: its name, and the two addresses. */
const SWITCHED = '+switch-master';

/** A connection to one Sentinel; it reconnects by itself. */
export interface SentinelConnection {
  on(event: 'ready', listener: () => void): unknown;
  on(event: 'message', listener: (channel: string, message: string) => void): unknown;
  connect(): Promise<void>;
  subscribe(channel: string): Promise<unknown>;
  /** With `true` it connects anew. */
  disconnect(reconnect?: boolean): void;
}

/** Where a master is. */
export interface Master {
  readonly host: string;
  readonly port: number;
}

/**
 * Has clients of a master follow it to another Redis as soon as a Sentinel says so. A master that has to step down goes on
 * as if nothing were for ten seconds, until a Sentinel ends its connections; one that is cut off is not told at all.
 */
export class SentinelMonitor<Client> {
  readonly #name: string;
  readonly #connections: readonly SentinelConnection[];
  readonly #followers = new Set<Client>();
  readonly #onSwitchMaster: (client: Client, master: Master) => void;
  readonly #onIdle: () => void;

  /** `switched` is called for each follower and each Sentinel that says so; `abandoned` when nobody follows any more. */
  constructor(options: {
    name: string;
    connections: readonly SentinelConnection[];
    onSwitchMaster: (client: Client, master: Master) => void;
    onIdle: () => void;
  }) {
    this.#name = options.name;
    this.#connections = options.connections;
    this.#onSwitchMaster = options.onSwitchMaster;
    this.#onIdle = options.onIdle;
    for (const connection of options.connections) {
      connection.on('ready', () => {
        connection.subscribe(SWITCHED).catch(() => connection.disconnect(true));
      });
      connection.on('message', (_channel, message) => this.#handleMessage(message));
      connection.connect().catch(ignoreUntilReconnect);
    }
  }

  follow(client: Client): void {
    this.#followers.add(client);
  }

  leave(client: Client): void {
    if (!this.#followers.delete(client) || this.#followers.size > 0) return;
    for (const connection of this.#connections) connection.disconnect();
    this.#onIdle();
  }

  #handleMessage(message: string): void {
    const [name, , , host = '', port] = message.split(' ');
    if (name !== this.#name) return;
    for (const client of this.#followers) this.#onSwitchMaster(client, { host, port: Number(port) });
  }
}

/** A Sentinel may be away at any time; the others are listened to meanwhile. */
function ignoreUntilReconnect(): void {}
