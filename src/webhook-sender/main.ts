import '../shared/process/child-signals.ts';
import type { FromWebhookSender, ToWebhookSender } from '../shared/ipc/webhook-sender-messages.ts';
import { WebhookClient } from './webhook-client.ts';

/**
 * The webhook sender: a process that calls the webhooks of apps. Slow name resolution, slow handshakes and receivers that
 * hang affect neither clients nor the primary. It stores nothing: after its exit, the primary sends open requests again.
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
  if (process.connected) process.send?.(message, undefined, undefined, ignoreClosedChannel);
}

/** The primary has exited; `disconnect` follows. */
function ignoreClosedChannel(): void {}
