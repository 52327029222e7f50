import '../shared/process/child-signals.ts';
import { MessagePipe } from '../shared/ipc/message-pipe.ts';
import { PIPE_DESCRIPTOR, type ToPrimary, type ToWorker } from '../shared/ipc/messages.ts';

const UNLOADABLE_EXIT = 5;
const FLUSH_TIMEOUT_MS = 1_000;

/**
 * What the primary starts. It imports no package, so that it can tell the primary which one is missing: during an
 * upgrade in place the files of the program are away for a while.
 */
try {
  await import('./main.ts');
} catch (error) {
  const pipe = new MessagePipe<ToWorker, ToPrimary>(PIPE_DESCRIPTOR, {
    message: ignoreStart,
    relayFrame: ignoreStart,
    malformed: ignoreStart,
  });
  pipe.send({ type: 'fatal', reason: firstLineOf(error) });
  await pipe.finish(FLUSH_TIMEOUT_MS);
  process.exit(UNLOADABLE_EXIT);
}

/** Node names the missing package or file there, and the file that imports it. */
function firstLineOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0] ?? '';
}

function ignoreStart(): void {}
