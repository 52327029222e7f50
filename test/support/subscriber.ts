import { type Client, connectClient } from './client.ts';
import { eventually } from './deadline.ts';

const CONCURRENT_CONNECTS = 50;

/** A client that records the `data` of each message of one channel. */
export class Subscriber {
  readonly client: Client;
  readonly received: unknown[] = [];

  private constructor(client: Client) {
    this.client = client;
  }

  static async connect(url: string, channel: string): Promise<Subscriber> {
    const client = await connectClient(url);
    await client.subscribe(channel);
    const subscriber = new Subscriber(client);
    client.socket.removeAllListeners('message');
    client.socket.on('message', (text) => {
      subscriber.received.push((JSON.parse(text.toString()) as { data: unknown }).data);
    });
    return subscriber;
  }

  /** Connects in batches, so that a busy machine keeps up. */
  static async connectMany(count: number, url: string, channel: string): Promise<Subscriber[]> {
    const subscribers: Subscriber[] = [];
    while (subscribers.length < count) {
      const batch = Math.min(CONCURRENT_CONNECTS, count - subscribers.length);
      subscribers.push(
        ...(await Promise.all(Array.from({ length: batch }, () => Subscriber.connect(url, channel)))),
      );
    }
    return subscribers;
  }

  async hasReceived(data: unknown, timeoutMs?: number): Promise<void> {
    await eventually(() => this.received.includes(data), `a client received ${data}`, timeoutMs);
  }
}

export function disconnectAll(subscribers: readonly Subscriber[]): void {
  for (const { client } of subscribers) client.socket.terminate();
}
