import { setTimeout as pause } from 'node:timers/promises';
import { Clients } from '../support/clients.ts';
import { anonymousBytesOf, cpuMsOf } from '../support/machine.ts';
import { type Measured, type Scenario, withRunning } from '../support/scenario.ts';
import type { Running } from '../support/target.ts';

const SETTLE_MS = 12_000;
/** So that a run of some seconds has every client looked at. */
const HEARTBEAT_MS = 5_000;

/** What a client costs: CPU to let it in and subscribe it, and memory while it is quiet, at the margin. */
export const connections: Scenario = {
  name: 'connections',
  suits: ({ isLimit }) => isLimit === undefined,
  measure: (target, { short }) =>
    withRunning(target, async (running) => {
      const step = short ? 100 : 5_000;
      const clients = new Clients();
      try {
        const first = await admit(running, clients, step);
        await pause(short ? 100 : SETTLE_MS);
        const before = anonymousBytesOf(running.pid);
        const second = await admit(running, clients, step);
        await pause(short ? 100 : SETTLE_MS);
        const after = anonymousBytesOf(running.pid);
        const missing = 2 * step - first.ready - second.ready;
        return {
          values: {
            'ms CPU per connect and subscribe': second.cpuMs / Math.max(1, second.ready),
            'KB per idle connection': (after - before) / 1_024 / Math.max(1, second.ready),
          },
          remarks: missing > 0 ? [`${missing} clients were not let in`] : [],
        };
      } finally {
        await clients.close();
      }
    }),
};

/**
 * The same as more and more come: memory of a connection over the server when it was empty, and over what it had
 * at the step before; CPU of those that came since.
 */
export function connectionsGrowth(sizes: readonly number[]): Scenario {
  return {
    name: 'so many connections',
    suits: connections.suits,
    measure: async (target, { short }) => {
      const steps = short ? sizes.map((size) => size / 10) : sizes;
      const memory = await withRunning(target, (running) => memoryAt(running, steps, short));
      const cpu = await withRunning(target, (running) => cpuAt(running, steps, short));
      return [...memory, ...cpu];
    },
  };
}

/** On a fresh server: one that had clients before keeps memory, and gives it to the next for nothing. */
async function memoryAt(running: Running, steps: readonly number[], short: boolean): Promise<Measured[]> {
  const clients = new Clients();
  try {
    await pause(short ? 100 : SETTLE_MS);
    const empty = anonymousBytesOf(running.pid);
    const measured: Measured[] = [];
    let last = { ready: 0, bytes: empty };
    for (const step of steps) {
      const ready = last.ready + (await admit(running, clients, step - last.ready)).ready;
      await pause(short ? 100 : SETTLE_MS);
      const bytes = anonymousBytesOf(running.pid);
      measured.push({
        size: step,
        values: {
          'bytes per connection, over empty': (bytes - empty) / Math.max(1, ready),
          // At the first step both are the same.
          ...(last.ready > 0 && {
            'bytes per connection, marginal': (bytes - last.bytes) / Math.max(1, ready - last.ready),
          }),
        },
        remarks: ready < step ? [`only ${ready} of ${step} clients were let in`] : [],
      });
      last = { ready, bytes };
    }
    return measured;
  } finally {
    await clients.close();
  }
}

/** On a server that let clients in before, or the first step would pay for the compiler. */
async function cpuAt(running: Running, steps: readonly number[], short: boolean): Promise<Measured[]> {
  const early = new Clients();
  await early.open(running, { count: short ? 10 : 2_000, perSecond: 400 });
  await early.close();
  await pause(short ? 100 : SETTLE_MS);
  const clients = new Clients();
  try {
    const measured: Measured[] = [];
    let here = 0;
    for (const step of steps) {
      const { ready, cpuMs } = await admit(running, clients, step - here);
      measured.push({
        size: step,
        values: { 'ms CPU per connect and subscribe': cpuMs / Math.max(1, ready) },
        remarks: ready < step - here ? [`${step - here - ready} clients were not let in`] : [],
      });
      here = step;
    }
    return measured;
  } finally {
    await clients.close();
  }
}

/** What a server spends in so many seconds of quiet, in ms of CPU. */
async function spend({ pid }: Running, seconds: number): Promise<number> {
  const before = cpuMsOf(pid);
  await pause(seconds * 1_000);
  return cpuMsOf(pid) - before;
}

async function admit(running: Running, clients: Clients, count: number) {
  const before = cpuMsOf(running.pid);
  const ready = await clients.open(running, { count, perSecond: 1_000 });
  return { ready, cpuMs: cpuMsOf(running.pid) - before };
}

/** Clients that say nothing, and the heartbeat on; what it would cost at the default of 25 s is a fifth of it. */
export const heartbeat: Scenario = {
  name: `heartbeat of ${HEARTBEAT_MS / 1_000} s`,
  suits: ({ name }) => name === 'gusher',
  measure: (target, { short }): Promise<Measured> =>
    withRunning(
      target,
      async (running) => {
        const [count, seconds] = short ? [100, 1] : [10_000, 20];
        // What a gusher without clients does (beats, watches) is not theirs.
        const emptyMs = await spend(running, seconds);
        const clients = new Clients();
        try {
          const ready = await clients.open(running, { count });
          await pause(short ? 100 : SETTLE_MS);
          const spentMs = (await spend(running, seconds)) - emptyMs;
          return { values: { '% of a core per 10,000': (spentMs / seconds / 10) * (10_000 / ready) } };
        } finally {
          await clients.close();
        }
      },
      { GUSHER_HEARTBEAT_INTERVAL_MS: String(HEARTBEAT_MS) },
    ),
};
