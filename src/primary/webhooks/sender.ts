import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  isFromWebhookSender,
  type ToWebhookSender,
  type WebhookRequest,
} from '../../shared/ipc/webhook-sender-messages.ts';
import type { Logger } from '../../shared/logging/log.ts';
import { assertDescriptorsForFork } from '../process/file-descriptors.ts';
import { threadPoolEnvironment } from '../process/thread-pool.ts';

const PROGRAM = fileURLToPath(new URL('../../webhook-sender/main.js', import.meta.url));

/** `error`: a short description; `undefined` after a successful delivery. */
type OnResult = (error: string | undefined) => void;

/** The process reports a result within the timeout of a request; if this time passes too, it is stuck. */
const LIVENESS_TIMEOUT_MS = 5_000;

/**
 * Starts and uses the webhook sender process: starts it with the first delivery, and again with the first one after it
 * exited or failed to start. The requests that it had then fail, and their queues retry them.
 */
export class WebhookSender {
  readonly #start: ToWebhookSender;
  readonly #log: Logger;
  readonly #resultTimeoutMs: number;
  readonly #inFlight = new Map<number, OnResult>();
  #process: ChildProcess | undefined;
  #lastId = 0;
  #closed = false;

  constructor(options: {
    timeoutMs: number;
    allowPrivate: boolean;
    log: Logger;
    /** Time beyond `timeoutMs` after which the process counts as stuck. */
    livenessTimeoutMs?: number;
  }) {
    const { timeoutMs, allowPrivate, log, livenessTimeoutMs = LIVENESS_TIMEOUT_MS } = options;
    this.#resultTimeoutMs = timeoutMs + livenessTimeoutMs;
    this.#start = { type: 'start', timeoutMs, allowPrivate };
    this.#log = log;
  }

  /** Resolves when the receiver accepted the request, or with a short description of the error. */
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
      const timer = setTimeout(() => this.#killStuck(child), this.#resultTimeoutMs).unref();
      this.#inFlight.set(id, (error) => {
        clearTimeout(timer);
        resolve(error);
      });
    });
    send(child, { type: 'deliver', id, request });
    return result;
  }

  /** Kills the process; its requests fail. */
  close(): void {
    this.#closed = true;
    this.#process?.kill('SIGKILL');
  }

  /** Without enough resources, Node.js throws, or returns a child without a process, which never exits. */
  #fork(): ChildProcess {
    assertDescriptorsForFork();
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

  /** The requests of the process fail when it exits. */
  #killStuck(child: ChildProcess): void {
    if (this.#process !== child) return;
    this.#log.error({ event: 'webhook_sender_stuck', pid: child.pid }, 'webhook sender stuck, killing it');
    child.kill('SIGKILL');
  }

  /** Logs the reason, and returns the error of the requests. */
  #startFailed({ message: reason }: Error): string {
    this.#log.error({ event: 'webhook_sender_start_failed', reason }, 'webhook sender failed to start');
    return `the webhook sender failed to start: ${reason}`;
  }

  #failAll(child: ChildProcess, error: string): void {
    if (this.#process === child) this.#process = undefined;
    for (const id of [...this.#inFlight.keys()]) this.#resolve(id, error);
  }

  /** A malformed message ends no request; a request without a result times out. */
  #receive(message: unknown): void {
    if (isFromWebhookSender(message)) this.#resolve(message.id, message.error);
    else this.#log.error({ event: 'ipc_message_malformed' }, 'webhook sender sent a malformed message');
  }

  #resolve(id: number, error: string | undefined): void {
    this.#inFlight.get(id)?.(error);
    this.#inFlight.delete(id);
  }
}

function send(child: ChildProcess, message: ToWebhookSender): void {
  if (child.connected) child.send(message, ignoreUntilExit);
}

/** A message that did not reach the process needs no handling: its exit fails the requests. */
function ignoreUntilExit(): void {}
