/** Channel of Sentinel failovers. The message has the name of the master, and its old and new address. */
const SWITCH_MASTER_CHANNEL = '+switch-master';

/** A connection to one Sentinel; it reconnects by itself. */
export interface SentinelConnection {
  on(event: 'ready', listener: () => void): unknown;
  on(event: 'message', listener: (channel: string, message: string) => void): unknown;
  connect(): Promise<void>;
  subscribe(channel: string): Promise<unknown>;
  /** With `true` it reconnects. */
  disconnect(reconnect?: boolean): void;
}

/** Address of a master. */
export interface Master {
  readonly host: string;
  readonly port: number;
}

/**
 * Reconnects clients to the new master as soon as a Sentinel announces a failover. Otherwise a demoted master keeps serving
 * them for up to ten seconds, until a Sentinel closes its connections. An isolated master would keep serving them forever.
 */
export class SentinelMonitor<Client> {
  readonly #name: string;
  readonly #connections: readonly SentinelConnection[];
  readonly #followers = new Set<Client>();
  readonly #onSwitchMaster: (client: Client, master: Master) => void;
  readonly #onIdle: () => void;

  /** Calls `onSwitchMaster` per client and announcing Sentinel, and `onIdle` when the last client has left. */
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
        connection.subscribe(SWITCH_MASTER_CHANNEL).catch(() => connection.disconnect(true));
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

/** One Sentinel may be down; the others still announce failovers. */
function ignoreUntilReconnect(): void {}
