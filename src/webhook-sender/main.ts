import '../shared/process/child-signals.ts';
import type { FromCourier, ToCourier } from '../shared/ipc/webhook-sender-messages.ts';
import { Delivery } from './webhook-client.ts';

/**
 * The courier: a process that does nothing but call the webhooks of apps. Names that resolve slowly, handshakes
 * and receivers that hang are its trouble alone; neither clients nor the primary wait for it. It keeps nothing:
 * what was not settled when it ends, the primary sends again.
 */

let delivery: Delivery | undefined;

process.title = 'gusher: courier';
process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToCourier) => receive(message));

function receive(message: ToCourier): void {
  switch (message.type) {
    case 'start':
      delivery = new Delivery(message);
      break;
    case 'deliver':
      delivery?.bring(message.parcel).then(
        () => send({ type: 'settled', id: message.id }),
        (error: Error) => send({ type: 'settled', id: message.id, error: error.message }),
      );
      break;
    default:
      message satisfies never;
  }
}

function send(message: FromCourier): void {
  // Fails only when the primary is gone, which `disconnect` tells.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
