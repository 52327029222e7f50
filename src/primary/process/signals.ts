import { fstatSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Logger } from '../../shared/log.ts';

/** A terminal and `npm start` both pass on Ctrl-C: two signals in one moment are one wish. */
const REPEATED_MS = 1_000;
/** Open for writing only, as `nohup` opens it (fcntl.h). */
const ACCESS_MODE = 0o3;
const WRITE_ONLY = 0o1;

type Stop = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP';

/** The signals that ask the program to stop. */
export interface StopSignals {
  /** Resolves with the first: stop gracefully. */
  readonly first: Promise<Stop>;
  /** Resolves with one that comes more than a second after the first: stop now. */
  readonly second: Promise<Stop>;
}

/**
 * Gives every signal its meaning: SIGTERM, SIGINT, SIGQUIT and, unless it is ignored, SIGHUP stop gusher; SIGUSR1 and
 * SIGUSR2 do nothing (without a listener SIGUSR1 opens Node's inspector). Each is logged.
 */
export function watchSignals({
  log,
  ignoreHangup = isUnderNohup(),
}: {
  log: Logger;
  ignoreHangup?: boolean;
}): StopSignals {
  let stop: (signal: Stop) => void = () => undefined;
  let force: (signal: Stop) => void = () => undefined;
  const first = new Promise<Stop>((resolve) => {
    stop = resolve;
  });
  const second = new Promise<Stop>((resolve) => {
    force = resolve;
  });
  let firstAt: number | undefined;
  const onStop = (signal: Stop): void => {
    const sinceFirstMs = firstAt === undefined ? undefined : Math.round(performance.now() - firstAt);
    if (sinceFirstMs === undefined) {
      firstAt = performance.now();
      stop(signal);
    } else if (sinceFirstMs < REPEATED_MS) {
      log.info({ event: 'stop_repeated', signal, sinceFirstMs }, 'repeated stop signal ignored');
    } else {
      log.warn({ event: 'stop_forced', signal, sinceFirstMs }, 'second stop signal received, stopping now');
      force(signal);
    }
  };
  const onOther = (signal: NodeJS.Signals): void =>
    log.info({ event: 'signal_ignored', signal }, 'signal ignored');
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.on(signal, onStop);
  process.on('SIGHUP', ignoreHangup ? onOther : onStop);
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, onOther);
  return { first, second };
}

/**
 * True if the program was started by `nohup`. Node restores the default of every signal before it runs any JavaScript,
 * so SIGHUP does not show as ignored in /proc/self/status. What is left are the name of the command, which most shells
 * put into `_`, and a standard input that `nohup` has replaced by a /dev/null that cannot be read.
 */
export function isUnderNohup(environment: NodeJS.ProcessEnv = process.env): boolean {
  return basename(environment._ ?? '') === 'nohup' || hasUnreadableInput();
}

function hasUnreadableInput(): boolean {
  try {
    const [, octal = ''] = /^flags:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8')) ?? [];
    const isNull = fstatSync(0).rdev === statSync('/dev/null').rdev;
    return isNull && (Number.parseInt(octal, 8) & ACCESS_MODE) === WRITE_ONLY;
  } catch {
    // No /proc, or no standard input.
    return false;
  }
}
