import type { App } from '../../../shared/apps/app.ts';
import { isSameText, isSignature } from '../../../shared/crypto/signature.ts';
import { quoted } from '../../../shared/errors/catalogue.ts';

/**
 * Whether `auth` is `{app_key}:{signature}` over the text by the secret of the app. Looks at nothing inside the text:
 * what is not signed is not parsed.
 */
export function isAuthorized(app: App, auth: unknown, text: string): boolean {
  if (app.secret === undefined || typeof auth !== 'string') return false;
  const colon = auth.indexOf(':');
  const isKey = isSameText(auth.slice(0, Math.max(colon, 0)), app.key);
  return isSignature(auth.slice(colon + 1), app.secret, text) && isKey;
}

/** What is signed to let a socket into a channel; with `channel_data` as the raw string that was sent. */
export function channelAuthText(socketId: string, channel: string, channelData: string | undefined): string {
  return `${socketId}:${channel}${channelData === undefined ? '' : `:${channelData}`}`;
}

/** What is signed to say who a socket is. */
export function userAuthText(socketId: string, userData: string): string {
  return `${socketId}::user::${userData}`;
}

/** Tells the app's developer what a correct `auth` is made from. The client sent all of the text, or was sent it. */
export function signingHelp(text: string): string {
  return `"auth" must be the app key, a colon and the HMAC SHA-256 (lower-case hex) of ${quoted(text)}`;
}
