import { readdirSync, readFileSync } from 'node:fs';

/** Reads /proc for a process and its descendants. Linux only. */

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
}

export function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

/** Returns the CPU time (user and system) of all threads of a process tree, in ms. Ended threads are not counted. */
export function cpuMsOf(pid: number): number {
  let ns = 0;
  for (const member of treeOf(pid)) {
    for (const task of readdirSync(`/proc/${member}/task`)) {
      ns += Number(readFileSync(`/proc/${member}/task/${task}/schedstat`, 'latin1').split(' ')[0]);
    }
  }
  return ns / 1e6;
}

/** Returns the anonymous memory of a process tree, in bytes. */
export function anonymousBytesOf(pid: number): number {
  return treeOf(pid).reduce((sum, member) => {
    const rollup = readFileSync(`/proc/${member}/smaps_rollup`, 'latin1');
    return sum + Number(/^Anonymous:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024;
  }, 0);
}
