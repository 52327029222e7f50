import '../shared/process/child-signals.ts';
import cluster from 'node:cluster';
import { MessagePipe } from '../shared/ipc/message-pipe.ts';
import { PIPE_DESCRIPTOR, type ToPrimary, type ToWorker } from '../shared/ipc/messages.ts';
import { createLog, type Logger } from '../shared/log.ts';
import { takeOverConsole } from '../shared/logging/console-lines.ts';
import { countFrames, endReceiversOnce } from './websocket/ws-receiver-patch.ts';
import { Worker } from './worker.ts';

/** How long clients get when the primary is gone: nobody listens any more, so they should leave soon. */
const ORPHAN_DRAIN_MS = 5_000;
/** What a drain may take beyond its deadline to let go of everything. */
const ORPHAN_GRACE_MS = 1_500;
const FATAL_EXIT = 3;
/** All clients were closed, but a part of the worker could not be. */
const CLOSE_FAILED_EXIT = 4;
/** How long the primary has to take the last reports. */
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
  malformed: failOn,
});
pipe.onEnd(drainAsOrphan);

/** As any other error that nobody handles, it ends this process and no other. */
function failOn(error: Error): never {
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

async function start({ settings, slot, demoApp }: ToWorker & { type: 'start' }): Promise<void> {
  const log = createLog(settings, { process: 'worker', slot, pid: process.pid });
  takeOverConsole(log);
  exitOnUncaughtException(log);
  process.title = `gusher: worker ${slot}`;
  worker = new Worker({ settings, demoApp, pipe, log });
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
 * The primary died. Node would end this process at once; its clients deserve a goodbye. A drain that is under
 * way goes on, but no longer than this.
 */
function drainAsOrphan(): void {
  if (isOrphan) return;
  isOrphan = true;
  setTimeout(() => process.exit(0), ORPHAN_DRAIN_MS + ORPHAN_GRACE_MS);
  worker?.receive({ type: 'host', live: false, stopping: true });
  void drainAndExit(ORPHAN_DRAIN_MS);
}

/** A programming error ends the worker, with a line that says so; the supervisor is there for the rest. */
function exitOnUncaughtException(log: Logger): void {
  // Nothing waits for it, so nothing is left half done: the worker goes on.
  process.on('unhandledRejection', (error) => worker?.reportRejection(error));
  process.on('uncaughtException', (error) => {
    log.fatal({ event: 'worker_crashed', err: error }, 'worker crashed');
    process.exit(FATAL_EXIT);
  });
}

if (cluster.worker !== undefined) {
  // Node's own listener for `disconnect` exits unless the worker is leaving of its own will.
  const { worker: self } = cluster;
  self.on('disconnect', () => {
    self.exitedAfterDisconnect = true;
  });
}
