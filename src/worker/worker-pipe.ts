import type { MessagePipe } from '../shared/ipc/message-pipe.ts';
import type { ToPrimary, ToWorker } from '../shared/ipc/messages.ts';
import type { PrimaryPipe } from './broker/relay-broker.ts';

/** What a worker uses of its pipe to the primary. */
export type WorkerPipe = PrimaryPipe & Pick<MessagePipe<ToWorker, ToPrimary>, 'send'>;
