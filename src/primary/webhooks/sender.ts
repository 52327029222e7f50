import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  isFromCourier,
  type ToWebhookSender,
  type WebhookRequest,
} from '../../shared/ipc/webhook-sender-messages.ts';
import type { Logger } from '../../shared/log.ts';
import { needRoomToFork } from '../process/file-descriptors.ts';
import { threadPoolEnvironment } from '../process/thread-pool.ts';

const PROGRAM = fileURLToPath(new URL('../../webhook-sender/main.js', import.meta.url));

type OnResult = (error: string | undefined) => void;

/** The process settles every webhook request within the deadline; after this time more it must be stuck. */
const WORKER_LIVENESS_TIMEOUT_MS = 5_000;

/**
 * The webhook sender process as the primary sees it: started when there is something to deliver, and again after it
 * has ended, whatever ended it, or could not be started. Parcels that were with it then come back with a fault, for
 * another attempt.
 */
export class WebhookSender {
  readonly #start: ToWebhookSender;
  readonly #log: Logger;
  readonly #parcelTimeoutMs: number;
  readonly #inFlight = new Map<number, OnResult>();
  #process: ChildProcess | undefined;
  #lastId = 0;
  #closed = false;

  constructor(options: {
    timeoutMs: number;
    allowPrivate: boolean;
    log: Logger;
    /** How long a webhook request may be with the process beyond the deadline. */
    workerLivenessTimeoutMs?: number;
  }) {
    const { timeoutMs, allowPrivate, log, workerLivenessTimeoutMs = WORKER_LIVENESS_TIMEOUT_MS } = options;
    this.#parcelTimeoutMs = timeoutMs + workerLivenessTimeoutMs;
    this.#start = { type: 'start', timeoutMs, allowPrivate };
    this.#log = log;
  }

  /** Resolves with what went wrong, in a few words; with nothing when the receiver has taken the webhook request. */
  deliver(request: WebhookRequest): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve('gusher is stopping');
    try {
      this.#process ??= this.#fork();
    } catch (error) {
      return Promise.resolve(this.#startFailed(error as Error));
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const child = this.#process;
    const result = new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => this.#endStuck(child), this.#parcelTimeoutMs).unref();
      this.#inFlight.set(id, (error) => {
        clearTimeout(timer);
        resolve(error);
      });
    });
    send(child, { type: 'deliver', id, request });
    return result;
  }

  /** Ends the process; what is with it is not waited for. */
  close(): void {
    this.#closed = true;
    this.#process?.kill('SIGKILL');
  }

  /** For some of what the system lacks Node throws; for the rest it makes a process that never was, and never exits. */
  #fork(): ChildProcess {
    needRoomToFork();
    const child = fork(PROGRAM, [], { execArgv: [], env: { ...process.env, ...threadPoolEnvironment() } });
    child.on('message', (message: unknown) => this.#receive(message));
    child.on('error', ignoreUntilExit);
    if (child.pid === undefined) {
      child.once('error', (error) => this.#failAll(child, this.#startFailed(error)));
      return child;
    }
    child.once('exit', (code, signal) => {
      if (!this.#closed)
        this.#log.error(
          { event: 'webhook_sender_exited', sender: child.pid, code, signal },
          'webhook sender exited',
        );
      this.#failAll(child, 'the webhook sender exited');
    });
    send(child, this.#start);
    this.#log.info({ event: 'webhook_sender_started', sender: child.pid }, 'webhook sender started');
    return child;
  }

  /** Its webhook requests come back with its exit. */
  #endStuck(child: ChildProcess): void {
    if (this.#process !== child) return;
    this.#log.error({ event: 'webhook_sender_stuck', pid: child.pid }, 'webhook sender stuck, killing it');
    child.kill('SIGKILL');
  }

  /** Logs why, and answers the fault of a webhook request that was for it. */
  #startFailed({ message: reason }: Error): string {
    this.#log.error({ event: 'webhook_sender_start_failed', reason }, 'webhook sender failed to start');
    return `the webhook sender failed to start: ${reason}`;
  }

  #failAll(child: ChildProcess, error: string): void {
    if (this.#process === child) this.#process = undefined;
    for (const id of [...this.#inFlight.keys()]) this.#resolve(id, error);
  }

  /** A message of any other shape settles nothing: its request ends with the process. */
  #receive(message: unknown): void {
    if (isFromCourier(message)) this.#resolve(message.id, message.error);
    else this.#log.error({ event: 'malformed_frame' }, 'webhook sender sent a malformed message');
  }

  #resolve(id: number, error: string | undefined): void {
    this.#inFlight.get(id)?.(error);
    this.#inFlight.delete(id);
  }
}

function send(child: ChildProcess, message: ToWebhookSender): void {
  if (child.connected) child.send(message, ignoreUntilExit);
}

/** What failed to reach the process is told by its exit. */
function ignoreUntilExit(): void {}
