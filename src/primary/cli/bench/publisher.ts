import { Agent, request } from 'node:http';

const SOCKETS_MAX = 16;
/** Attack: a server that does not answer, while publications go on. */
const IN_FLIGHT_MAX = 1_000;
const TICK_MS = 10;
const SECOND_MS = 1_000;
const TIMEOUT_MS = 10_000;

export interface BenchPublisherOptions {
  /** `http://host:port`. */
  readonly api: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly app: string;
  readonly channels: readonly string[];
  readonly perSecond: number;
  /** Bytes of the data of each publication, about. */
  readonly size: number;
}

/** Publishes at a constant rate, whether answers are slow or not. */
export class BenchPublisher {
  readonly #options: BenchPublisherOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  readonly #pad: string;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #sent = 0;
  #inFlight = 0;
  /** Publications that gusher accepted. */
  accepted = 0;
  /** Publications that failed, by status or system code. */
  readonly errors = new Map<string, number>();
  /** Publications that were left out, because too many had no answer. */
  skipped = 0;

  constructor(options: BenchPublisherOptions) {
    this.#options = options;
    this.#pad = 'x'.repeat(Math.max(0, options.size - '{"sentAt":123456.789,"pad":""}'.length));
  }

  get hasPending(): boolean {
    return this.#inFlight > 0;
  }

  start(): void {
    this.#startedAt = performance.now();
    this.#timer = setInterval(this.#publishDue, TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  close(): void {
    this.stop();
    this.#agent.destroy();
  }

  readonly #publishDue = (): void => {
    const elapsedMs = performance.now() - this.#startedAt;
    const due = Math.floor((elapsedMs / SECOND_MS) * this.#options.perSecond);
    for (; this.#sent < due; this.#sent += 1) {
      if (this.#inFlight < IN_FLIGHT_MAX) this.#publish();
      else this.skipped += 1;
    }
  };

  #publish(): void {
    const { api, app, channels, headers } = this.#options;
    const channel = channels[this.#sent % channels.length] ?? '';
    const path = `/v1/apps/${encodeURIComponent(app)}/channels/${encodeURIComponent(channel)}/messages`;
    const options = { method: 'POST', agent: this.#agent, headers, timeout: TIMEOUT_MS };
    const sentAt = performance.now().toFixed(3);
    this.#inFlight += 1;
    const call = request(api + path, options, (response) => {
      response.resume();
      if (response.statusCode === 200) this.accepted += 1;
      else this.#countError(String(response.statusCode));
    });
    call.on('timeout', () => call.destroy());
    call.on('error', ({ code, message }: NodeJS.ErrnoException) => this.#countError(code ?? message));
    call.on('close', () => {
      this.#inFlight -= 1;
    });
    call.end(`{"event":"bench","data":{"sentAt":${sentAt},"pad":"${this.#pad}"}}`);
  }

  #countError(reason: string): void {
    this.errors.set(reason, (this.errors.get(reason) ?? 0) + 1);
  }
}
