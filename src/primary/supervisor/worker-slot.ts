import cluster, { type Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { MessagePipe } from '../../shared/ipc/message-pipe.ts';
import { isToPrimary } from '../../shared/ipc/message-shapes.ts';
import {
  type BrokerStatus,
  PIPE_DESCRIPTOR,
  type ToPrimary,
  type ToWorker,
} from '../../shared/ipc/messages.ts';
import { MalformedFrameError } from '../../shared/ipc/pipe-frame.ts';
import { assertDescriptorsForFork } from '../process/file-descriptors.ts';
import { threadPoolEnvironment } from '../process/thread-pool.ts';

const CHANNEL_POLL_MS = 5;

/** `starting` → `ready` → `draining` → `gone`; from `gone` the slot may be filled again. */
export type SlotState = 'starting' | 'ready' | 'draining' | 'gone';

/** How the process in a slot ended. */
export interface SlotExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly servedMs: number | undefined;
  /** Why the primary itself killed it, if it did. */
  readonly killReason: string | undefined;
  readonly killCause: KillCause | undefined;
}

/** Why the primary kills a worker. */
export type KillCause = 'malformed_frame' | 'start_failed' | 'unresponsive' | 'shutdown';

/** Receives the events of a slot. */
export interface SlotListener {
  message(slot: WorkerSlot, message: ToPrimary): void;
  /** A publication for other workers. `frame` is valid only during the call. */
  relayFrame(slot: WorkerSlot, topic: string, frame: Buffer): void;
  /** The process sent a message that cannot be parsed or handled. No further message of it is read. */
  malformed(slot: WorkerSlot, error: MalformedFrameError): void;
  /** The process has exited, and all its messages were handled. */
  exited(slot: WorkerSlot, exit: SlotExit): void;
  /** No process could be started; the slot stays empty. */
  startFailed(slot: WorkerSlot, error: Error): void;
}

/** Holds one worker process at a time. */
export class WorkerSlot {
  readonly number: number;
  readonly #listener: SlotListener;
  state: SlotState = 'gone';
  brokerStatus: BrokerStatus = 'connecting';
  /** The Redis server to which the worker is connected, if known. */
  server: string | undefined;
  /** When the process last sent anything, in ms of `performance.now()`. */
  lastHeartbeatAt = 0;
  #worker: Worker | undefined;
  #pipe: MessagePipe<ToPrimary, ToWorker> | undefined;
  #readyAt: number | undefined;
  #killReason: string | undefined;
  #killCause: KillCause | undefined;

  constructor(number: number, listener: SlotListener) {
    this.number = number;
    this.#listener = listener;
  }

  get worker(): Worker | undefined {
    return this.#worker;
  }

  /** The pipe to the current process, or to the last one. */
  get pipe(): MessagePipe<ToPrimary, ToWorker> | undefined {
    return this.#pipe;
  }

  /** The name of the current process, or of the last one. Unique among all processes of this primary. */
  get processName(): string {
    return `worker ${this.#worker?.id}`;
  }

  /** Forks a process into the empty slot. Returns `undefined` if that fails; the listener is called soon after. */
  start(): Worker | undefined {
    const worker = this.#fork();
    if (worker === undefined) return undefined;
    this.#worker = worker;
    this.#readyAt = undefined;
    this.#killReason = undefined;
    this.#killCause = undefined;
    this.state = 'starting';
    this.brokerStatus = 'connecting';
    this.server = undefined;
    this.lastHeartbeatAt = performance.now();
    const pipe = new MessagePipe<ToPrimary, ToWorker>(worker.process.stdio[PIPE_DESCRIPTOR] as Socket, {
      message: (message) => this.#receive(message),
      relayFrame: (topic, frame) => this.#receiveFrame(topic, frame),
      malformed: (error) => this.#listener.malformed(this, error),
    });
    this.#pipe = pipe;
    void this.#waitForExit(worker, pipe);
    return worker;
  }

  becomeReady(): void {
    if (this.state === 'starting') this.state = 'ready';
    this.#readyAt = performance.now();
  }

  drain(timeoutMs: number): void {
    if (this.state === 'gone') return;
    this.state = 'draining';
    this.send({ type: 'drain', timeoutMs });
  }

  /** Sends a message, unless the process is gone. A dying process may not receive it. */
  send(message: ToWorker): void {
    if (this.state !== 'gone') this.#pipe?.send(message);
  }

  /** `reason` is for the log. The first call counts. */
  kill(cause: KillCause, reason: string): void {
    this.#killReason ??= reason;
    this.#killCause ??= cause;
    this.#worker?.process.kill('SIGKILL');
  }

  #receive(message: unknown): void {
    this.lastHeartbeatAt = performance.now();
    if (!isToPrimary(message)) throw new MalformedFrameError('a message has the wrong fields');
    try {
      this.#listener.message(this, message);
    } catch (cause) {
      throw handlingError(cause);
    }
  }

  #receiveFrame(topic: string, frame: Buffer): void {
    this.lastHeartbeatAt = performance.now();
    try {
      this.#listener.relayFrame(this, topic, frame);
    } catch (cause) {
      throw handlingError(cause);
    }
  }

  /** Without enough resources, Node.js throws, or returns a worker without a process, which never exits. */
  #fork(): Worker | undefined {
    let worker: Worker;
    try {
      assertDescriptorsForFork();
      worker = cluster.fork(threadPoolEnvironment());
    } catch (error) {
      setImmediate(() => this.#listener.startFailed(this, error as Error));
      return undefined;
    }
    worker.on('error', ignoreUntilExit);
    worker.process.on('error', ignoreUntilExit);
    if (worker.process.pid !== undefined) return worker;
    worker.process.once('error', (error) => {
      // Node.js may never emit this. Until then the cluster lists the worker, and the balancer can choose it.
      worker.process.emit('disconnect');
      this.#listener.startFailed(this, error);
    });
    return undefined;
  }

  /** Waits until the process has exited, its pipe is read to the end, and its channel is closed. */
  async #waitForExit(worker: Worker, pipe: MessagePipe<ToPrimary, ToWorker>): Promise<void> {
    const exit = new Promise<[number | null, string | null]>((resolve) => {
      worker.process.once('exit', (code, signal) => resolve([code, signal]));
    });
    const pipeEnd = new Promise<void>((resolve) => pipe.onEnd(resolve));
    let isDisconnected = false;
    worker.process.once('disconnect', () => {
      isDisconnected = true;
    });
    const [code, signal] = await exit;
    await pipeEnd;
    while (worker.process.connected) await pause(CHANNEL_POLL_MS);
    // Node.js does not emit this if a socket was in flight on the channel, but the cluster needs it.
    if (!isDisconnected) worker.process.emit('disconnect');
    const servedMs = this.#readyAt === undefined ? undefined : performance.now() - this.#readyAt;
    this.state = 'gone';
    const killed = { killReason: this.#killReason, killCause: this.#killCause };
    this.#listener.exited(this, { code, signal, servedMs, ...killed });
  }
}

/** A message that makes the primary fail ends its worker, not the primary. */
function handlingError(cause: unknown): MalformedFrameError {
  if (cause instanceof MalformedFrameError) return cause;
  return new MalformedFrameError('a message could not be handled', { cause });
}

/** A message that did not reach the process needs no handling: the process has exited or will. */
function ignoreUntilExit(): void {}
