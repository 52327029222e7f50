import { answerQuery } from '../src/primary/presence/queries.ts';
import { PresenceQueryServer } from '../src/primary/presence/query-server.ts';
import { PresenceRegistry } from '../src/primary/presence/registry.ts';
import type { ToPrimary } from '../src/shared/ipc/messages.ts';
import { PresenceReporter } from '../src/worker/ipc/presence-reporter.ts';

/**
 * Measures the presence registry: `npm run build && node --expose-gc dist/bench/presence.js`. Each user joins one
 * channel over one connection. CPU times include garbage collection on other threads.
 */
const USERS = 100_000;
const CHANNELS = 1_000;
const WORKERS = 4;
/** Joins per event-loop tick of a worker. */
const BATCH = 100;

async function main(): Promise<void> {
  await measure();
  for (const [name, value] of await measure()) process.stdout.write(`${name}: ${value}\n`);
}

/** Returns one result per line. The first call warms up the compiler. */
async function measure(): Promise<[name: string, value: string][]> {
  const heapBefore = await heapBytes();
  const presence = new PresenceRegistry();
  const queryServer = new PresenceQueryServer(presence);
  for (let worker = 0; worker < WORKERS; worker += 1) queryServer.open(nameOf(worker), () => undefined);
  const join = await joinAll(queryServer);
  const bytes = ((await heapBytes()) - heapBefore) / USERS;
  const page = pageMs(presence);
  let left = 0;
  presence.addListener({
    transition: ({ kind }) => {
      if (kind === 'offline') left += 1;
    },
    countChanged: () => undefined,
  });
  const drop = await maxDelayMs(async () => {
    queryServer.close(nameOf(0));
    while (left < USERS / WORKERS) await new Promise(setImmediate);
  });
  for (let worker = 1; worker < WORKERS; worker += 1) queryServer.close(nameOf(worker));
  if (presence.apps().size > 0) throw new Error('presence entries remain after all workers left');
  return [
    ['join, in the worker', `${join.workerUs.toFixed(1)} us of CPU`],
    ['join, in the primary', `${join.primaryUs.toFixed(1)} us of CPU`],
    ['event-loop delay while all users join', `${join.delayMs.toFixed(0)} ms maximum`],
    ['memory per present user, in the primary', `${bytes.toFixed(0)} bytes`],
    ['query of 1,000 users in a channel with all users', `${page.toFixed(1)} ms`],
    [`event-loop delay when a worker with ${USERS / WORKERS} users exits`, `${drop.toFixed(0)} ms maximum`],
  ];
}

async function joinAll(queryServer: PresenceQueryServer) {
  let workerMs = 0;
  let primaryMs = 0;
  const joins = async (): Promise<void> => {
    for (let first = 0; first < USERS; first += BATCH) {
      const began = cpuMs();
      const message = encodeJoins(first);
      const sent = cpuMs();
      queryServer.receive(nameOf((first / BATCH) % WORKERS), JSON.parse(message));
      primaryMs += cpuMs() - sent;
      workerMs += sent - began;
      await new Promise(setImmediate);
    }
  };
  const delayMs = await maxDelayMs(joins);
  return { workerUs: (workerMs / USERS) * 1_000, primaryUs: (primaryMs / USERS) * 1_000, delayMs };
}

/** Does the work of a worker for the joins of one tick; returns the message to the primary. */
function encodeJoins(first: number): string {
  const messages: ToPrimary[] = [];
  const send = (message: ToPrimary): void => void messages.push(message);
  const reporter = new PresenceReporter({ send, scheduleFlush: () => undefined });
  for (let user = first; user < first + BATCH; user += 1) {
    reporter.report('shop', '', `user-${user}`, 1);
    reporter.report('shop', `channel-${user % CHANNELS}`, `user-${user}`, 1);
    reporter.report('shop', 'all-users', `user-${user}`, 1);
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
      channel: 'all-users',
      after: `user-${page}`,
      limit: 1_000,
    });
  }
  return (cpuMs() - began) / 20;
}

/** Returns the maximum delay of a timer, in ms, while `work` runs. */
async function maxDelayMs(work: () => Promise<void>): Promise<number> {
  let last = performance.now();
  let maximum = 0;
  const check = (): void => {
    const now = performance.now();
    maximum = Math.max(maximum, now - last - 1);
    last = now;
  };
  const timer = setInterval(check, 1);
  await work();
  await new Promise((resolve) => setTimeout(resolve, 20));
  clearInterval(timer);
  return maximum;
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
