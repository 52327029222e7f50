import type { App } from '../../../shared/apps/app.ts';
import { isSameText, isSignature } from '../../../shared/crypto/signature.ts';
import { quoted } from '../../../shared/errors/catalogue.ts';

/**
 * Whether `auth` is `{app_key}:{signature}`, with the signature of the text under the secret of the app. Does not parse
 * the text: nothing unsigned is parsed.
 */
export function isAuthorized(app: App, auth: unknown, text: string): boolean {
  if (app.secret === undefined || typeof auth !== 'string') return false;
  const colon = auth.indexOf(':');
  const isKey = isSameText(auth.slice(0, Math.max(colon, 0)), app.key);
  return isSignature(auth.slice(colon + 1), app.secret, text) && isKey;
}

/** The text to sign for a channel subscription, with `channel_data` as the raw string that the client sent. */
export function channelAuthText(socketId: string, channel: string, channelData: string | undefined): string {
  return `${socketId}:${channel}${channelData === undefined ? '' : `:${channelData}`}`;
}

/** The text to sign for a sign-in. */
export function userAuthText(socketId: string, userData: string): string {
  return `${socketId}::user::${userData}`;
}

/** Explains to the developer of the app how to make a correct `auth`. The client already knows all of the text. */
export function signingHelp(text: string): string {
  return `"auth" must be the app key, a colon and the HMAC SHA-256 (lower-case hex) of ${quoted(text)}`;
}
