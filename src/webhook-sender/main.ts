import '../shared/process/child-signals.ts';
import type { FromWebhookSender, ToWebhookSender } from '../shared/ipc/webhook-sender-messages.ts';
import { WebhookClient } from './webhook-client.ts';

/**
 * The webhook sender: a process that does nothing but call the webhooks of apps. Names that resolve slowly, handshakes
 * and receivers that hang are its trouble alone; neither clients nor the primary wait for it. It keeps nothing:
 * what was not settled when it ends, the primary sends again.
 */

let client: WebhookClient | undefined;

process.title = 'gusher: webhook sender';
process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToWebhookSender) => receive(message));

function receive(message: ToWebhookSender): void {
  switch (message.type) {
    case 'start':
      client = new WebhookClient(message);
      break;
    case 'deliver':
      client?.send(message.request).then(
        () => send({ type: 'result', id: message.id }),
        (error: Error) => send({ type: 'result', id: message.id, error: error.message }),
      );
      break;
    default:
      message satisfies never;
  }
}

function send(message: FromWebhookSender): void {
  // Fails only when the primary is gone, which `disconnect` tells.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
