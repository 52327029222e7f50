import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Running } from './target.ts';

const WARM_UP_SECONDS = 5;
const WARM_UP_PUBLICATIONS = 200;

/** What is published: so many at once, at a pace, going round the channels. */
export interface Load {
  readonly burst: number;
  readonly perSecond: number;
  readonly bytes: number;
  readonly channels?: number;
}

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

  /**
   * Publishes until compiling is over, which otherwise takes half of the CPU of a fresh server's first seconds;
   * answers how many publications that were. A short run is not for figures: once is enough.
   */
  async warmUp(options: Load & { short: boolean }): Promise<number> {
    const { burst, short } = options;
    const perSecond = Math.max(options.perSecond, WARM_UP_PUBLICATIONS / WARM_UP_SECONDS);
    const count = short ? burst : Math.ceil((perSecond * WARM_UP_SECONDS) / burst) * burst;
    await this.run({ ...options, perSecond, count });
    return count;
  }

  /** Publishes at a steady pace, `burst` at once, going round the channels. */
  async run(options: Load & { count: number }): Promise<void> {
    const { count, burst, perSecond, bytes, channels = 1 } = options;
    const calls: Promise<void>[] = [];
    const startedAt = performance.now();
    for (let sent = 0; sent < count; sent += burst) {
      await pause(Math.max(0, startedAt + (sent / perSecond) * 1_000 - performance.now()));
      for (let n = 0; n < burst; n += 1) calls.push(this.publish((sent + n) % channels, bytes));
    }
    await Promise.all(calls);
  }

  /**
   * Publishes to one channel without a pause, so many at once, until the time is over, but waits while it may not
   * go on; answers how many it published.
   */
  async press(options: {
    seconds: number;
    inFlight: number;
    bytes: number;
    mayGoOn: (published: number) => boolean;
  }): Promise<number> {
    const until = performance.now() + options.seconds * 1_000;
    let published = 0;
    const lane = async (): Promise<void> => {
      while (performance.now() < until) {
        if (options.mayGoOn(published)) {
          await this.publish(0, options.bytes);
          published += 1;
        } else await pause(2);
      }
    };
    await Promise.all(Array.from({ length: options.inFlight }, lane));
    return published;
  }

  close(): void {
    this.#agent.destroy();
  }
}
