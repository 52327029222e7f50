import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { GusherError } from '../../../shared/errors/catalogue.ts';

/**
 * How long a body may take, in ms. Attack: one that trickles; sockets that came through the public listener are
 * under no watch of Node's, since the server that parses them does not listen.
 */
const BODY_TIMEOUT_MS = 15_000;
const CHECK_MS = 1_000;

/** Reads a whole body as UTF-8 text; refuses as `readBytes` does, and with `bad_body` if it is not UTF-8. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const body = await readBytes(request, maxBytes);
  if (!isUtf8(body)) throw new GusherError('bad_body');
  return body.toString('utf8');
}

/**
 * Reads a whole body. Refuses with `body_too_large` as soon as it is known to be longer than `maxBytes`, and
 * with `body_timeout` if it does not arrive in time. Rejects with a `ClientGoneError` if the client hangs up.
 */
export function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
    const chunks: Buffer[] = [];
    let bytes = 0;
    const reading: Reading = { since: performance.now(), reject };
    begin(reading);
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) reject(tooLarge(maxBytes));
      else chunks.push(chunk);
    });
    request.on('end', () => {
      open.delete(reading);
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
    });
    const onGone = (): void => {
      open.delete(reading);
      // It closes after a whole body too; an error, with its stack, costs more than the rest of the reading.
      if (!request.readableEnded) reject(new ClientGoneError());
    };
    // A request that was read whole, behind others in a pipeline, may fail too: when its client hangs up.
    request.on('error', onGone);
    request.on('close', onGone);
  });
}

/** Some resources take less than `GUSHER_BODY_MAX_BYTES`, which the rules for requests have checked. */
function tooLarge(maxBytes: number): GusherError {
  return new GusherError('body_too_large', { detail: `The limit of this address is ${maxBytes} bytes.` });
}

interface Reading {
  readonly since: number;
  readonly reject: (error: GusherError) => void;
}

/** What is being read, oldest first; one timer looks after all of it. */
const open = new Set<Reading>();
let lateCheck: NodeJS.Timeout | undefined;

function begin(reading: Reading): void {
  open.add(reading);
  lateCheck ??= setInterval(rejectLate, CHECK_MS).unref();
}

function rejectLate(): void {
  const oldest = performance.now() - BODY_TIMEOUT_MS;
  for (const reading of open) {
    if (reading.since > oldest) break;
    open.delete(reading);
    reading.reject(new GusherError('body_timeout'));
  }
  if (open.size > 0) return;
  clearInterval(lateCheck);
  lateCheck = undefined;
}

/** The client hung up in the middle of its request: there is nobody to answer. */
export class ClientGoneError extends Error {}
