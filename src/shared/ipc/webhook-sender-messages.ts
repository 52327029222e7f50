/** Messages between the primary and the webhook sender, the process that calls app webhooks. */

/** One request to the webhook of an app. */
export interface WebhookRequest {
  readonly url: string;
  /** The app key, which the receiver gets in a header. */
  readonly key: string;
  /** Signs the body. */
  readonly secret: string;
  readonly body: string;
}

export type ToWebhookSender =
  /** First message. */
  | { type: 'start'; timeoutMs: number; allowPrivate: boolean }
  | { type: 'deliver'; id: number; request: WebhookRequest };

export type FromWebhookSender =
  /** The result of a request. `error` is a short text for the log, absent if the receiver accepted it. */
  { type: 'result'; id: number; error?: string };

/** True if the value is a message of the webhook sender. */
export function isFromWebhookSender(value: unknown): value is FromWebhookSender {
  if (typeof value !== 'object' || value === null) return false;
  const { type, id, error } = value as Record<string, unknown>;
  const hasError = error === undefined || typeof error === 'string';
  return type === 'result' && Number.isSafeInteger(id) && hasError;
}
