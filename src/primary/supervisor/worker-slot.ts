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
import { createStats, type Stats } from '../../shared/stats.ts';
import { needRoomToFork } from '../process/file-descriptors.ts';
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
  readonly killedAs: string | undefined;
}

/** Who hears of what happens in a slot. */
export interface SlotListener {
  message(slot: WorkerSlot, message: ToPrimary): void;
  /** A publication for others; its line is lent. */
  relayFrame(slot: WorkerSlot, topic: string, pipe: Buffer): void;
  /** The process sent what cannot be read or handled. Nothing more of it is read. */
  malformed(slot: WorkerSlot, error: MalformedFrameError): void;
  /** The process has ended and everything it had said was heard. */
  exited(slot: WorkerSlot, exit: SlotExit): void;
  /** No process could be started for the slot, which is as empty as before. */
  startFailed(slot: WorkerSlot, error: Error): void;
}

/** One place for a worker process, and the process that is in it now. */
export class WorkerSlot {
  readonly number: number;
  readonly #listener: SlotListener;
  state: SlotState = 'gone';
  brokerStatus: BrokerStatus = 'connecting';
  /** The server to which its link leads, if that is known. */
  server: string | undefined;
  stats: Stats = createStats();
  /** When the process last gave a sign, in ms of `performance.now()`. */
  lastHeartbeatAt = 0;
  #worker: Worker | undefined;
  #pipe: MessagePipe<ToPrimary, ToWorker> | undefined;
  #readyAt: number | undefined;
  #killedAs: string | undefined;

  constructor(number: number, listener: SlotListener) {
    this.number = number;
    this.#listener = listener;
  }

  get worker(): Worker | undefined {
    return this.#worker;
  }

  /** The line to the process that is in the slot, or was last. */
  get pipe(): MessagePipe<ToPrimary, ToWorker> | undefined {
    return this.#pipe;
  }

  /** The name of the process that is in the slot, or was last; no other process of this primary ever has it. */
  get processName(): string {
    return `worker ${this.#worker?.id}`;
  }

  /** Forks a process into the empty slot. If none can be started it stays empty, and the listener hears why soon after. */
  start(): Worker | undefined {
    const worker = this.#fork();
    if (worker === undefined) return undefined;
    this.#worker = worker;
    this.#readyAt = undefined;
    this.#killedAs = undefined;
    this.state = 'starting';
    this.brokerStatus = 'connecting';
    this.server = undefined;
    this.stats = createStats();
    this.lastHeartbeatAt = performance.now();
    const pipe = new MessagePipe<ToPrimary, ToWorker>(worker.process.stdio[PIPE_DESCRIPTOR] as Socket, {
      message: (message) => this.#receive(message),
      relayFrame: (topic, frame) => this.#receiveItem(topic, frame),
      malformed: (error) => this.#listener.malformed(this, error),
    });
    this.#pipe = pipe;
    void this.#waitForEnd(worker, pipe);
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

  /** Sends, unless the process is gone; a message to a dying process is lost with it. */
  send(message: ToWorker): void {
    if (this.state !== 'gone') this.#pipe?.send(message);
  }

  kill(reason: string): void {
    this.#killedAs ??= reason;
    this.#worker?.process.kill('SIGKILL');
  }

  #receive(message: unknown): void {
    this.lastHeartbeatAt = performance.now();
    if (!isToPrimary(message)) throw new MalformedFrameError('a message is not of its shape');
    try {
      this.#listener.message(this, message);
    } catch (cause) {
      throw unhandled(cause);
    }
  }

  #receiveItem(topic: string, frame: Buffer): void {
    this.lastHeartbeatAt = performance.now();
    try {
      this.#listener.relayFrame(this, topic, frame);
    } catch (cause) {
      throw unhandled(cause);
    }
  }

  /** For some of what the system lacks Node throws; for the rest it makes a process that never was, and never exits. */
  #fork(): Worker | undefined {
    let worker: Worker;
    try {
      needRoomToFork();
      worker = cluster.fork(threadPoolEnvironment());
    } catch (error) {
      setImmediate(() => this.#listener.startFailed(this, error as Error));
      return undefined;
    }
    worker.on('error', ignoreUntilExit);
    worker.process.on('error', ignoreUntilExit);
    if (worker.process.pid !== undefined) return worker;
    worker.process.once('error', (error) => {
      // Node may never say so; until then cluster keeps the worker, and sticky asks it.
      worker.process.emit('disconnect');
      this.#listener.startFailed(this, error);
    });
    return undefined;
  }

  /** The end is all of it: the process gone, its line read to the end, and its channel closed. */
  async #waitForEnd(worker: Worker, pipe: MessagePipe<ToPrimary, ToWorker>): Promise<void> {
    const exit = new Promise<[number | null, string | null]>((resolve) => {
      worker.process.once('exit', (code, signal) => resolve([code, signal]));
    });
    const pipeEnd = new Promise<void>((resolve) => pipe.onEnd(resolve));
    let disconnected = false;
    worker.process.once('disconnect', () => {
      disconnected = true;
    });
    const [code, signal] = await exit;
    await pipeEnd;
    while (worker.process.connected) await pause(CHANNEL_POLL_MS);
    // Node never says so if a socket was on its way through the channel; cluster has to know all the same.
    if (!disconnected) worker.process.emit('disconnect');
    const servedMs = this.#readyAt === undefined ? undefined : performance.now() - this.#readyAt;
    this.state = 'gone';
    this.#listener.exited(this, { code, signal, servedMs, killedAs: this.#killedAs });
  }
}

/** Whatever a worker makes fail in the primary ends that worker, and not all of them with the primary. */
function unhandled(cause: unknown): MalformedFrameError {
  if (cause instanceof MalformedFrameError) return cause;
  return new MalformedFrameError('a message could not be handled', { cause });
}

/** What failed to reach a process is told by its exit. */
function ignoreUntilExit(): void {}
