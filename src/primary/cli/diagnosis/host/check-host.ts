import type { Finding } from '../finding.ts';
import { checkCeiling, connectionLimits, type Limit } from './ceiling.ts';
import { checkDescriptors } from './descriptors.ts';
import { readHostFacts } from './facts.ts';
import { checkBacklog, checkConntrack, checkPorts, checkTcpMemory } from './kernel.ts';
import { checkCpus, checkMemory } from './resources.ts';

/** Checks this machine, and computes how many connections it can hold. */
export function checkHost(workers: number): { findings: Finding[]; limits: Limit[] } {
  const facts = readHostFacts();
  const limits = connectionLimits(facts, workers);
  const findings = [
    checkCeiling(limits),
    checkDescriptors(facts),
    checkMemory(facts, workers),
    checkCpus(facts, workers),
    checkBacklog(facts),
    checkPorts(facts),
    checkTcpMemory(facts),
    checkConntrack(facts),
  ];
  return { findings, limits };
}
