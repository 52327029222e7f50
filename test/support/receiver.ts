import { type Client, connectClient } from './client.ts';
import { eventually } from './deadline.ts';

/** A client that notes the `data` of each message of one channel, to be compared with what was published. */
export class Receiver {
  readonly client: Client;
  readonly received: unknown[] = [];

  private constructor(client: Client) {
    this.client = client;
  }

  static async join(url: string, channel: string): Promise<Receiver> {
    const client = await connectClient(url);
    await client.subscribe(channel);
    const receiver = new Receiver(client);
    client.socket.removeAllListeners('message');
    client.socket.on('message', (text) => {
      receiver.received.push((JSON.parse(text.toString()) as { data: unknown }).data);
    });
    return receiver;
  }

  static joinMany(count: number, url: string, channel: string): Promise<Receiver[]> {
    return Promise.all(Array.from({ length: count }, () => Receiver.join(url, channel)));
  }

  async hasReceived(data: unknown, deadlineMs?: number): Promise<void> {
    await eventually(() => this.received.includes(data), `a client received ${data}`, deadlineMs);
  }
}

export function leave(receivers: readonly Receiver[]): void {
  for (const { client } of receivers) client.socket.terminate();
}
