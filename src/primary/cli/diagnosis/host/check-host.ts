import type { Finding } from '../finding.ts';
import { connectionLimits, judgeCeiling, type Limit } from './ceiling.ts';
import { judgeDescriptors } from './descriptors.ts';
import { readHostFacts } from './facts.ts';
import { judgeBacklog, judgeConntrack, judgePorts, judgeTcpMemory } from './kernel.ts';
import { judgeCpus, judgeMemory } from './resources.ts';

/** Judges this machine, and computes how many connections it can hold. */
export function checkHost(workers: number): { findings: Finding[]; limits: Limit[] } {
  const facts = readHostFacts();
  const limits = connectionLimits(facts, workers);
  const findings = [
    judgeCeiling(limits),
    judgeDescriptors(facts),
    judgeMemory(facts, workers),
    judgeCpus(facts, workers),
    judgeBacklog(facts),
    judgePorts(facts),
    judgeTcpMemory(facts),
    judgeConntrack(facts),
  ];
  return { findings, limits };
}
