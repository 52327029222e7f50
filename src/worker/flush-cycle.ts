import type { Settings } from '../shared/config/settings.ts';
import type { MessagePipe } from '../shared/ipc/message-pipe.ts';
import type { ToPrimary, ToWorker } from '../shared/ipc/messages.ts';
import type { ClientLog } from '../shared/logging/client-log.ts';
import type { Stats } from '../shared/metrics/stats.ts';
import { FlushScheduler } from '../shared/scheduling/flush-scheduler.ts';
import { SendQueue } from './connection/send-queue.ts';
import { FanOut } from './hub/fan-out.ts';
import { PresenceReporter } from './ipc/presence-reporter.ts';
import { SocketReporter } from './ipc/socket-reporter.ts';
import { WebhookReporter } from './ipc/webhook-reporter.ts';

/** The queues and reporters that collect during a turn of the event loop and send at its end. */
export interface FlushCycle {
  readonly sendQueue: SendQueue;
  readonly fanOut: FanOut;
  readonly sockets: SocketReporter;
  readonly presenceReporter: PresenceReporter;
  readonly webhookReporter: WebhookReporter;
}

/** Creates the queues and reporters, and the scheduler that flushes them in order. */
export function createFlushCycle({
  settings: { batchWindowMs, sendBufferMaxBytes },
  pipe,
  clientLog,
  stats,
  onFlushed,
}: {
  settings: Pick<Settings, 'batchWindowMs' | 'sendBufferMaxBytes'>;
  pipe: Pick<MessagePipe<ToWorker, ToPrimary>, 'enqueue' | 'flush'>;
  clientLog: ClientLog;
  stats: Stats;
  /** Called at the end of each flush. */
  onFlushed: () => void;
}): FlushCycle {
  const scheduler: FlushScheduler = new FlushScheduler(
    [
      () => fanOut.flush(),
      // Before the replies: a client that has read one may query presence.
      () => sockets.flush(),
      () => presenceReporter.flush(),
      () => webhookReporter.flush(),
      () => pipe.flush(),
      () => sendQueue.flush(),
      () => fanOut.measure(),
      () => onFlushed(),
    ],
    { windowMs: batchWindowMs },
  );
  const scheduleFlush = (): void => scheduler.schedule();
  const send = (message: ToPrimary): void => pipe.enqueue(message);
  const sendQueue = new SendQueue({ maxBytes: sendBufferMaxBytes, stats, scheduleFlush, clientLog });
  const fanOut = new FanOut({ sendQueue, stats, scheduleFlush });
  const sockets = new SocketReporter({ send, scheduleFlush });
  const presenceReporter = new PresenceReporter({ send, scheduleFlush });
  const webhookReporter = new WebhookReporter({ send, scheduleFlush });
  return { sendQueue, fanOut, sockets, presenceReporter, webhookReporter };
}
