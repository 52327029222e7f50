import type { Refusal } from './errors/catalogue.ts';

/** The JSON body by which a refusal is told over HTTP, on either port. */
export function refusalBody({ code, sentence }: Refusal): string {
  return JSON.stringify({ error: { code, message: sentence } });
}
