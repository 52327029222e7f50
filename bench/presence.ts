import { answerQuery } from '../src/primary/presence/queries.ts';
import { PresenceQueryServer } from '../src/primary/presence/query-server.ts';
import { PresenceRegistry } from '../src/primary/presence/registry.ts';
import type { ToPrimary } from '../src/shared/ipc/messages.ts';
import { PresenceReporter } from '../src/worker/ipc/presence-reporter.ts';

/**
 * What the roster costs: `npm run build && node --expose-gc dist/bench/presence.js`. One user joins one channel by
 * one connection, as most do. CPU times are of the whole process, garbage collection on other threads included.
 */
const USERS = 100_000;
const CHANNELS = 1_000;
const WORKERS = 4;
/** How many join in one turn of a worker's loop. */
const BATCH = 100;

async function main(): Promise<void> {
  await measure();
  for (const [what, value] of await measure()) process.stdout.write(`${what}: ${value}\n`);
}

/** The first call warms up. */
async function measure(): Promise<[what: string, value: string][]> {
  const heapBefore = await heapBytes();
  const presence = new PresenceRegistry();
  const desk = new PresenceQueryServer(presence);
  for (let worker = 0; worker < WORKERS; worker += 1) desk.open(nameOf(worker), () => undefined);
  const join = await joinAll(desk);
  const bytes = ((await heapBytes()) - heapBefore) / USERS;
  const page = pageMs(presence);
  let left = 0;
  presence.addListener({
    transition: ({ kind }) => {
      if (kind === 'offline') left += 1;
    },
    countChanged: () => undefined,
  });
  const drop = await lateness(async () => {
    desk.close(nameOf(0));
    while (left < USERS / WORKERS) await new Promise(setImmediate);
  });
  for (let worker = 1; worker < WORKERS; worker += 1) desk.close(nameOf(worker));
  if (presence.apps().size > 0) throw new Error('somebody is still there');
  return [
    ['a join, in the worker', `${join.workerUs.toFixed(1)} us of CPU`],
    ['a join, in the primary', `${join.primaryUs.toFixed(1)} us of CPU`],
    ['lateness of the loop while all join', `${join.lateMs.toFixed(0)} ms at most`],
    ['memory of a present user, in the primary', `${bytes.toFixed(0)} bytes`],
    ['a page of 1,000 of the users of a channel of all', `${page.toFixed(1)} ms`],
    [
      `lateness of the loop when a worker with ${USERS / WORKERS} users is gone`,
      `${drop.toFixed(0)} ms at most`,
    ],
  ];
}

async function joinAll(desk: PresenceQueryServer) {
  let workerMs = 0;
  let primaryMs = 0;
  const joins = async (): Promise<void> => {
    for (let first = 0; first < USERS; first += BATCH) {
      const began = cpuMs();
      const line = reportJoins(first);
      const sent = cpuMs();
      desk.receive(nameOf((first / BATCH) % WORKERS), JSON.parse(line));
      primaryMs += cpuMs() - sent;
      workerMs += sent - began;
      await new Promise(setImmediate);
    }
  };
  const lateMs = await lateness(joins);
  return { workerUs: (workerMs / USERS) * 1_000, primaryUs: (primaryMs / USERS) * 1_000, lateMs };
}

/** What a worker does for the joins of one turn: the message, as it crosses. */
function reportJoins(first: number): string {
  const messages: ToPrimary[] = [];
  const send = (message: ToPrimary): void => void messages.push(message);
  const reporter = new PresenceReporter({ send, scheduleFlush: () => undefined });
  for (let user = first; user < first + BATCH; user += 1) {
    reporter.report('shop', '', `user-${user}`, 1);
    reporter.report('shop', `channel-${user % CHANNELS}`, `user-${user}`, 1);
    reporter.report('shop', 'everybody', `user-${user}`, 1);
  }
  reporter.flush();
  return JSON.stringify(messages[0]);
}

function pageMs(presence: PresenceRegistry): number {
  const began = cpuMs();
  for (let page = 0; page < 20; page += 1) {
    answerQuery(presence, {
      kind: 'usersOfChannel',
      app: 'shop',
      channel: 'everybody',
      after: `user-${page}`,
      limit: 1_000,
    });
  }
  return (cpuMs() - began) / 20;
}

/** By how many ms a timer was late at most while something was done. */
async function lateness(work: () => Promise<void>): Promise<number> {
  let last = performance.now();
  let most = 0;
  const look = (): void => {
    const now = performance.now();
    most = Math.max(most, now - last - 1);
    last = now;
  };
  const timer = setInterval(look, 1);
  await work();
  await new Promise((resolve) => setTimeout(resolve, 20));
  clearInterval(timer);
  return most;
}

function nameOf(worker: number): string {
  return `worker ${worker}`;
}

async function heapBytes(): Promise<number> {
  for (let pass = 0; pass < 3; pass += 1) {
    if (globalThis.gc === undefined) throw new Error('start it with node --expose-gc');
    globalThis.gc();
    await new Promise(setImmediate);
  }
  return process.memoryUsage().heapUsed;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

await main();
