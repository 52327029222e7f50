import { setTimeout as pause } from 'node:timers/promises';
import { Clients } from '../support/clients.ts';
import { anonymousBytesOf, cpuMsOf } from '../support/machine.ts';
import { type Measured, type Scenario, withRunning } from '../support/scenario.ts';
import type { Running } from '../support/target.ts';

const SETTLE_MS = 12_000;
/** Short, so that a run of 20 s pings every client several times. */
const HEARTBEAT_MS = 5_000;

/** Measures CPU to connect and subscribe one more client, and its memory while idle. */
export const connections: Scenario = {
  name: 'connections',
  suits: ({ isMinimal }) => isMinimal === undefined,
  measure: (target, { short }) =>
    withRunning(target, async (running) => {
      const step = short ? 100 : 5_000;
      const clients = new Clients();
      try {
        const first = await connectClients(running, clients, step);
        await pause(short ? 100 : SETTLE_MS);
        const before = anonymousBytesOf(running.pid);
        const second = await connectClients(running, clients, step);
        await pause(short ? 100 : SETTLE_MS);
        const after = anonymousBytesOf(running.pid);
        const missing = 2 * step - first.ready - second.ready;
        return {
          values: {
            'ms CPU per connect and subscribe': second.cpuMs / Math.max(1, second.ready),
            'KB per idle connection': (after - before) / 1_024 / Math.max(1, second.ready),
          },
          remarks: missing > 0 ? [`${missing} clients did not connect`] : [],
        };
      } finally {
        await clients.close();
      }
    }),
};

/**
 * Measures the same costs at growing sizes: memory per connection relative to the empty server and to the previous
 * size, and CPU of the clients added since the previous size.
 */
export function connectionsGrowth(sizes: readonly number[]): Scenario {
  return {
    name: 'number of connections',
    suits: connections.suits,
    measure: async (target, { short }) => {
      const steps = short ? sizes.map((size) => size / 10) : sizes;
      const memory = await withRunning(target, (running) => memoryAt(running, steps, short));
      const cpu = await withRunning(target, (running) => cpuAt(running, steps, short));
      return [...memory, ...cpu];
    },
  };
}

/** Needs a fresh server: after clients disconnect, the process keeps their memory and reuses it. */
async function memoryAt(running: Running, steps: readonly number[], short: boolean): Promise<Measured[]> {
  const clients = new Clients();
  try {
    await pause(short ? 100 : SETTLE_MS);
    const empty = anonymousBytesOf(running.pid);
    const measured: Measured[] = [];
    let last = { ready: 0, bytes: empty };
    for (const step of steps) {
      const ready = last.ready + (await connectClients(running, clients, step - last.ready)).ready;
      await pause(short ? 100 : SETTLE_MS);
      const bytes = anonymousBytesOf(running.pid);
      measured.push({
        size: step,
        values: {
          'bytes per connection, over empty': (bytes - empty) / Math.max(1, ready),
          // At the first size both values are equal.
          ...(last.ready > 0 && {
            'bytes per connection, marginal': (bytes - last.bytes) / Math.max(1, ready - last.ready),
          }),
        },
        remarks: ready < step ? [`only ${ready} of ${step} clients connected`] : [],
      });
      last = { ready, bytes };
    }
    return measured;
  } finally {
    await clients.close();
  }
}

/** Connects early clients first: otherwise the first size includes the cost of V8's compiler. */
async function cpuAt(running: Running, steps: readonly number[], short: boolean): Promise<Measured[]> {
  const early = new Clients();
  await early.open(running, { count: short ? 10 : 2_000, perSecond: 400 });
  await early.close();
  await pause(short ? 100 : SETTLE_MS);
  const clients = new Clients();
  try {
    const measured: Measured[] = [];
    let connected = 0;
    for (const step of steps) {
      const { ready, cpuMs } = await connectClients(running, clients, step - connected);
      measured.push({
        size: step,
        values: { 'ms CPU per connect and subscribe': cpuMs / Math.max(1, ready) },
        remarks: ready < step - connected ? [`${step - connected - ready} clients did not connect`] : [],
      });
      connected = step;
    }
    return measured;
  } finally {
    await clients.close();
  }
}

/** Returns the CPU time in ms that an idle server uses in `seconds`. */
async function idleCpuMs({ pid }: Running, seconds: number): Promise<number> {
  const before = cpuMsOf(pid);
  await pause(seconds * 1_000);
  return cpuMsOf(pid) - before;
}

async function connectClients(running: Running, clients: Clients, count: number) {
  const before = cpuMsOf(running.pid);
  const ready = await clients.open(running, { count, perSecond: 1_000 });
  return { ready, cpuMs: cpuMsOf(running.pid) - before };
}

/** Measures the heartbeat of idle clients. At the default interval of 25 s the cost is a fifth of this result. */
export const heartbeat: Scenario = {
  name: `heartbeat of ${HEARTBEAT_MS / 1_000} s`,
  suits: ({ name }) => name === 'gusher',
  measure: (target, { short }): Promise<Measured> =>
    withRunning(
      target,
      async (running) => {
        const [count, seconds] = short ? [100, 1] : [10_000, 20];
        // Subtracted below: the cost of gusher without clients (liveness messages between the processes).
        const emptyMs = await idleCpuMs(running, seconds);
        const clients = new Clients();
        try {
          const ready = await clients.open(running, { count });
          await pause(short ? 100 : SETTLE_MS);
          const spentMs = (await idleCpuMs(running, seconds)) - emptyMs;
          return { values: { '% of a core per 10,000': (spentMs / seconds / 10) * (10_000 / ready) } };
        } finally {
          await clients.close();
        }
      },
      { GUSHER_HEARTBEAT_INTERVAL_MS: String(HEARTBEAT_MS) },
    ),
};
