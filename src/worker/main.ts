import cluster from 'node:cluster';
import type { ToPrimary, ToWorker } from '../shared/ipc.ts';
import { createLog, type Logger } from '../shared/log.ts';
import { Worker } from './worker.ts';

/** How long clients get when the primary is gone: nobody listens any more, so they should leave soon. */
const ORPHAN_DRAIN_MS = 5_000;
const FATAL_EXIT = 3;

let worker: Worker | undefined;

process.title = 'gusher: worker';
// A terminal sends its signals to the whole process group; when to stop is the primary's to say.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('message', (message: ToWorker | { type: `sticky:${string}` }) => {
  if (isOurs(message)) receive(message);
});
process.on('disconnect', () => void leaveAsOrphan());

function isOurs(message: ToWorker | { type: `sticky:${string}` }): message is ToWorker {
  return !message.type.startsWith('sticky:');
}

function send(message: ToPrimary): void {
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
    const apiPort = await worker.open();
    send({ type: 'ready', apiPort });
  } catch (error) {
    log.fatal({ err: error }, 'the worker cannot start');
    send({ type: 'fatal', reason: (error as Error).message });
  }
}

async function leave(deadlineMs: number): Promise<void> {
  await worker?.drain(deadlineMs);
  process.exit(0);
}

/** The primary died. Node would end this process at once; its clients deserve a goodbye. */
async function leaveAsOrphan(): Promise<void> {
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
