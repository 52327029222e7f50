import '../shared/process/child-signals.ts';
import { MessagePipe } from '../shared/ipc/message-pipe.ts';
import { PIPE_DESCRIPTOR, type ToPrimary, type ToWorker } from '../shared/ipc/messages.ts';

const UNLOADABLE_EXIT = 5;
const FLUSH_TIMEOUT_MS = 1_000;

/**
 * The entry of a worker process. It imports no package, so that it can report a missing one to the primary: during an
 * upgrade in place, files of the program are missing for a while.
 */
try {
  await import('./main.ts');
} catch (error) {
  const pipe = new MessagePipe<ToWorker, ToPrimary>(PIPE_DESCRIPTOR, {
    message: ignoreMessage,
    relayFrame: ignoreMessage,
    malformed: ignoreMessage,
  });
  pipe.send({ type: 'fatal', reason: firstLineOf(error) });
  await pipe.finish(FLUSH_TIMEOUT_MS);
  process.exit(UNLOADABLE_EXIT);
}

/** Returns the first line, in which Node names the missing package or file and its importer. */
function firstLineOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0] ?? '';
}

function ignoreMessage(): void {}
