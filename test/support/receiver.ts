import { type Client, connectClient } from './client.ts';
import { eventually } from './deadline.ts';

const AT_ONCE = 50;

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

  /** Some at a time, so that a busy machine keeps up. */
  static async joinMany(count: number, url: string, channel: string): Promise<Receiver[]> {
    const receivers: Receiver[] = [];
    while (receivers.length < count) {
      const some = Math.min(AT_ONCE, count - receivers.length);
      receivers.push(...(await Promise.all(Array.from({ length: some }, () => Receiver.join(url, channel)))));
    }
    return receivers;
  }

  async hasReceived(data: unknown, timeoutMs?: number): Promise<void> {
    await eventually(() => this.received.includes(data), `a client received ${data}`, timeoutMs);
  }
}

export function leave(receivers: readonly Receiver[]): void {
  for (const { client } of receivers) client.socket.terminate();
}
