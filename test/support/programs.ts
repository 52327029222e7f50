import { spawnSync } from 'node:child_process';
import type { Context } from 'mocha';

/** Skips a test, and states the reason in the output of the run. */
export function skip(context: Context, reason: string): never {
  console.log(`    skipped: ${reason}`);
  return context.skip();
}

/** Skips a test that needs a program which is not installed. */
export function requireProgram(context: Context, program: string): void {
  if (!isInstalled(program)) skip(context, `${program} is not installed`);
}

export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`], { env: TOOL_ENV }).status === 0;
}

/** Daemons of Debian are in /usr/sbin, which is not on the path of every user. */
export const TOOL_ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
