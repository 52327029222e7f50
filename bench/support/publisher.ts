import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Running } from './target.ts';

/** A backend: publishes over HTTP with keep-alive. */
export class Publisher {
  readonly #agent: Agent;
  readonly #target: Running;

  constructor(target: Running, { sockets }: { sockets: number }) {
    this.#target = target;
    this.#agent = new Agent({ keepAlive: true, maxSockets: sockets });
  }

  /** Publishes to a channel; resolves when it is acknowledged. */
  publish(channel: number, bytes: number): Promise<void> {
    const { publishPort, speech } = this.#target;
    const stamp = `{"ts":"${process.hrtime.bigint()}","p":"`;
    const data = `${stamp}${'x'.repeat(Math.max(0, bytes - stamp.length - 2))}"}`;
    const body = speech.body(data).replace('{c}', String(channel));
    return new Promise((resolve, reject) => {
      const call = request(
        {
          port: publishPort,
          host: '127.0.0.1',
          method: 'POST',
          path: speech.publishPath.replace('{c}', String(channel)),
          headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
          agent: this.#agent,
        },
        (response) => {
          response.resume();
          response.on('end', () => {
            if (response.statusCode === 200) resolve();
            else reject(new Error(`a publish was answered ${response.statusCode}`));
          });
        },
      );
      call.on('error', reject);
      call.end(body);
    });
  }

  /** Publishes at a steady pace, `burst` at once, going round the channels. */
  async run(options: {
    count: number;
    burst: number;
    perSecond: number;
    bytes: number;
    channels?: number;
  }): Promise<void> {
    const { count, burst, perSecond, bytes, channels = 1 } = options;
    const calls: Promise<void>[] = [];
    const startedAt = performance.now();
    for (let sent = 0; sent < count; sent += burst) {
      await pause(Math.max(0, startedAt + (sent / perSecond) * 1_000 - performance.now()));
      for (let n = 0; n < burst; n += 1) calls.push(this.publish((sent + n) % channels, bytes));
    }
    await Promise.all(calls);
  }

  close(): void {
    this.#agent.destroy();
  }
}
