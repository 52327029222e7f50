import { readdirSync, readFileSync } from 'node:fs';

/** What /proc tells of a process and all its descendants. Linux only. */

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
}

export function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

/** CPU time of all threads of a tree, user and system, in ms. Threads that ended meanwhile are not counted. */
export function cpuMsOf(pid: number): number {
  let ns = 0;
  for (const member of treeOf(pid)) {
    for (const task of readdirSync(`/proc/${member}/task`)) {
      ns += Number(readFileSync(`/proc/${member}/task/${task}/schedstat`, 'latin1').split(' ')[0]);
    }
  }
  return ns / 1e6;
}

/** Anonymous memory of a tree, in bytes. */
export function anonymousBytesOf(pid: number): number {
  return treeOf(pid).reduce((sum, member) => {
    const rollup = readFileSync(`/proc/${member}/smaps_rollup`, 'latin1');
    return sum + Number(/^Anonymous:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024;
  }, 0);
}
