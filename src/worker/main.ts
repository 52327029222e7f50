import cluster from 'node:cluster';
import type { FromWorker, SocketMessage, ToWorker } from '../shared/ipc.ts';
import { createLog, type Logger } from '../shared/log.ts';
import { Worker } from './worker.ts';

/** How long clients get when the primary is gone: nobody listens any more, so they should leave soon. */
const ORPHAN_DRAIN_MS = 5_000;
/** What a drain may take beyond its deadline to let go of everything. */
const ORPHAN_GRACE_MS = 1_500;
const FATAL_EXIT = 3;

let worker: Worker | undefined;

process.title = 'gusher: worker';
// A terminal sends its signals to the whole process group; when to stop is the primary's to say.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('SIGHUP', () => undefined);
process.on('message', (message: ToWorker | SocketMessage) => {
  if (!carriesSocket(message)) receive(message);
});
process.on('disconnect', () => void leaveAsOrphan());

/** Those go to the ports, which listen for themselves. */
function carriesSocket(message: ToWorker | SocketMessage): message is SocketMessage {
  return message.type === 'sticky:connection' || message.type === 'api:connection';
}

function send(message: FromWorker): void {
  // Fails only when the primary is gone, which `disconnect` tells.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function receive(message: ToWorker): void {
  switch (message.type) {
    case 'start':
      void start(message);
      break;
    case 'drain':
      void leave(message.deadlineMs);
      break;
    default:
      worker?.receive(message);
  }
}

async function start({ settings, slot, demoApp }: ToWorker & { type: 'start' }): Promise<void> {
  const log = createLog(settings.logLevel, { process: 'worker', slot, pid: process.pid });
  dieLoudly(log);
  process.title = `gusher: worker ${slot}`;
  worker = new Worker({ settings, demoApp, send, log });
  try {
    await worker.open();
    send({ type: 'ready' });
  } catch (error) {
    log.fatal({ err: error }, 'the worker cannot start');
    send({ type: 'fatal', reason: (error as Error).message });
  }
}

async function leave(deadlineMs: number): Promise<void> {
  await worker?.drain(deadlineMs);
  process.exit(0);
}

/**
 * The primary died. Node would end this process at once; its clients deserve a goodbye. A drain that is under
 * way goes on, but no longer than this.
 */
async function leaveAsOrphan(): Promise<void> {
  setTimeout(() => process.exit(0), ORPHAN_DRAIN_MS + ORPHAN_GRACE_MS);
  worker?.receive({ type: 'host', live: false, stopping: true });
  await leave(ORPHAN_DRAIN_MS);
}

/** A programming error ends the worker, with a line that says so; the supervisor is there for the rest. */
function dieLoudly(log: Logger): void {
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'the worker failed');
    process.exit(FATAL_EXIT);
  });
}

send({ type: 'born' });

if (cluster.worker !== undefined) {
  // Node's own listener for `disconnect` exits unless the worker is leaving of its own will.
  const { worker: self } = cluster;
  self.on('disconnect', () => {
    self.exitedAfterDisconnect = true;
  });
}
