import '../shared/process/child-signals.ts';
import cluster from 'node:cluster';
import { MessagePipe } from '../shared/ipc/message-pipe.ts';
import { PIPE_DESCRIPTOR, type ToPrimary, type ToWorker } from '../shared/ipc/messages.ts';
import { redirectConsole } from '../shared/logging/console-lines.ts';
import { createLog, type Logger } from '../shared/logging/log.ts';
import { countFrames, endReceiversOnce } from './websocket/ws-receiver-patch.ts';
import { Worker } from './worker.ts';

/** Timeout of a drain after the primary has exited: no process accepts connections, so clients must reconnect soon. */
const ORPHAN_DRAIN_MS = 5_000;
/** Additional time to close everything after the drain timeout. */
const ORPHAN_GRACE_MS = 1_500;
const FATAL_EXIT = 3;
/** All clients were closed, but closing a part of the worker failed. */
const CLOSE_FAILED_EXIT = 4;
/** Time in which the primary must read the last reports. */
const FLUSH_TIMEOUT_MS = 1_000;

let worker: Worker | undefined;
let isOrphan = false;

process.title = 'gusher: worker';
process.on('disconnect', drainAsOrphan);
endReceiversOnce();
countFrames();

const pipe = new MessagePipe<ToWorker, ToPrimary>(PIPE_DESCRIPTOR, {
  message: receive,
  relayFrame: (topic, bytes) => worker?.receiveFrame(topic, bytes),
  malformed: throwError,
});
pipe.onEnd(drainAsOrphan);

/** Ends this process, as an uncaught exception does. */
function throwError(error: Error): never {
  throw error;
}

function receive(message: ToWorker): void {
  switch (message.type) {
    case 'start':
      void start(message);
      break;
    case 'drain':
      void drainAndExit(message.timeoutMs);
      break;
    default:
      worker?.receive(message);
  }
}

async function start(message: ToWorker & { type: 'start' }): Promise<void> {
  const { settings, slot } = message;
  const log = createLog(settings, { process: 'worker', slot, pid: process.pid });
  redirectConsole(log);
  exitOnUncaughtException(log);
  process.title = `gusher: worker ${slot}`;
  worker = new Worker({ ...message, pipe, log });
  try {
    await worker.open();
    pipe.send({ type: 'ready' });
  } catch (error) {
    log.fatal({ event: 'worker_start_failed', err: error }, 'worker failed to start');
    pipe.send({ type: 'fatal', reason: (error as Error).message });
  }
}

async function drainAndExit(timeoutMs: number): Promise<void> {
  const clean = (await worker?.drain(timeoutMs)) ?? true;
  await pipe.finish(FLUSH_TIMEOUT_MS);
  process.exit(clean ? 0 : CLOSE_FAILED_EXIT);
}

/**
 * Drains after the primary has exited. Node would exit immediately, without close frames. A drain in progress continues
 * within the same timeout.
 */
function drainAsOrphan(): void {
  if (isOrphan) return;
  isOrphan = true;
  setTimeout(() => process.exit(0), ORPHAN_DRAIN_MS + ORPHAN_GRACE_MS);
  worker?.receive({ type: 'host', live: false, connected: 0, stopping: true });
  void drainAndExit(ORPHAN_DRAIN_MS);
}

/** Logs an uncaught exception and exits; the supervisor then restarts the worker. */
function exitOnUncaughtException(log: Logger): void {
  // No code waits for such a promise, so the state of the worker stays valid.
  process.on('unhandledRejection', (error) => worker?.reportRejection(error));
  process.on('uncaughtException', (error) => {
    log.fatal({ event: 'worker_crashed', err: error }, 'worker crashed');
    process.exit(FATAL_EXIT);
  });
}

if (cluster.worker !== undefined) {
  // Without this, Node's own `disconnect` listener exits at once.
  const { worker: self } = cluster;
  self.on('disconnect', () => {
    self.exitedAfterDisconnect = true;
  });
}
