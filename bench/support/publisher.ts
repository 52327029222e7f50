import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Running } from './target.ts';

const WARM_UP_SECONDS = 5;
const WARM_UP_PUBLICATIONS = 200;

/** A load: publications per burst, their rate and size. The publisher uses the channels in turn. */
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

  /** Publishes to a channel; resolves when the server has acknowledged it. */
  publish(channel: number, bytes: number): Promise<void> {
    const { publishPort, protocol } = this.#target;
    const stamp = `{"ts":"${process.hrtime.bigint()}","p":"`;
    const data = `${stamp}${'x'.repeat(Math.max(0, bytes - stamp.length - 2))}"}`;
    const body = protocol.body(data).replace('{c}', String(channel));
    return new Promise((resolve, reject) => {
      const call = request(
        {
          port: publishPort,
          host: '127.0.0.1',
          method: 'POST',
          path: protocol.publishPath.replace('{c}', String(channel)),
          headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
          agent: this.#agent,
        },
        (response) => {
          response.resume();
          response.on('end', () => {
            if (response.statusCode === 200) resolve();
            else reject(new Error(`publish request failed with status ${response.statusCode}`));
          });
        },
      );
      call.on('error', reject);
      call.end(body);
    });
  }

  /**
   * Publishes until V8 has compiled the hot code, which takes half of the CPU of a new server's first seconds.
   * Returns the number of publications. A short run publishes one burst only.
   */
  async warmUp(options: Load & { short: boolean }): Promise<number> {
    const { burst, short } = options;
    const perSecond = Math.max(options.perSecond, WARM_UP_PUBLICATIONS / WARM_UP_SECONDS);
    const count = short ? burst : Math.ceil((perSecond * WARM_UP_SECONDS) / burst) * burst;
    await this.run({ ...options, perSecond, count });
    return count;
  }

  /** Publishes at a steady rate, `burst` at once, to the channels in turn. */
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
   * Publishes to one channel for `seconds`, with `inFlight` requests at once, and pauses while `mayContinue` is false.
   * Returns the number of publications.
   */
  async runAtFullRate(options: {
    seconds: number;
    inFlight: number;
    bytes: number;
    mayContinue: (published: number) => boolean;
  }): Promise<number> {
    const until = performance.now() + options.seconds * 1_000;
    let published = 0;
    const publishInSequence = async (): Promise<void> => {
      while (performance.now() < until) {
        if (options.mayContinue(published)) {
          await this.publish(0, options.bytes);
          published += 1;
        } else await pause(2);
      }
    };
    await Promise.all(Array.from({ length: options.inFlight }, publishInSequence));
    return published;
  }

  close(): void {
    this.#agent.destroy();
  }
}
