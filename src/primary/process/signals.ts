import { fstatSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Logger } from '../../shared/logging/log.ts';
import { Deferred } from '../../shared/scheduling/deferred.ts';

/** A terminal and `npm start` both forward Ctrl-C, so two signals within this time count as one. */
const REPEATED_MS = 1_000;
/** Open for writing only (fcntl.h), as `nohup` opens it. */
const ACCESS_MODE = 0o3;
const WRITE_ONLY = 0o1;

type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP';

/** The signals that stop the program. */
export interface StopSignals {
  /** Resolves with the first: stop gracefully. */
  readonly first: Promise<StopSignal>;
  /** Resolves with a signal that arrives more than a second after the first: stop now. */
  readonly second: Promise<StopSignal>;
}

/**
 * Handles and logs every signal. SIGTERM, SIGINT, SIGQUIT and, unless `ignoreHangup`, SIGHUP stop gusher. SIGUSR1 and
 * SIGUSR2 do nothing; without a listener, SIGUSR1 would open the inspector of Node.js.
 */
export function watchSignals({
  log,
  ignoreHangup = isUnderNohup(),
}: {
  log: Logger;
  ignoreHangup?: boolean;
}): StopSignals {
  const first = new Deferred<StopSignal>();
  const second = new Deferred<StopSignal>();
  let firstAt: number | undefined;
  const onStop = (signal: StopSignal): void => {
    const sinceFirstMs = firstAt === undefined ? undefined : Math.round(performance.now() - firstAt);
    if (sinceFirstMs === undefined) {
      firstAt = performance.now();
      first.resolve(signal);
    } else if (sinceFirstMs < REPEATED_MS) {
      log.info({ event: 'stop_repeated', signal, sinceFirstMs }, 'repeated stop signal ignored');
    } else {
      log.warn({ event: 'stop_forced', signal, sinceFirstMs }, 'second stop signal received, stopping now');
      second.resolve(signal);
    }
  };
  const onOther = (signal: NodeJS.Signals): void =>
    log.info({ event: 'signal_ignored', signal }, 'signal ignored');
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.on(signal, onStop);
  process.on('SIGHUP', ignoreHangup ? onOther : onStop);
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, onOther);
  return { first: first.promise, second: second.promise };
}

/**
 * Whether `nohup` started the program. /proc/self/status does not show that, because Node.js restores the default of
 * every signal at its start. Most shells put the name of the command into `_`, and `nohup` replaces a terminal as
 * standard input by a /dev/null that cannot be read.
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
