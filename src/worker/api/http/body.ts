import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { GusherError } from '../../../shared/errors/catalogue.ts';

/**
 * Time in which a body must arrive. Attack: a client that sends a body byte by byte. Node does not enforce its own
 * timeout here, because the server that parses handed-off sockets does not listen.
 */
const BODY_TIMEOUT_MS = 15_000;
const CHECK_MS = 1_000;

/** Reads a whole body as text. Rejects as `readBytes` does, and with `bad_body` if it is not UTF-8. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const body = await readBytes(request, maxBytes);
  if (!isUtf8(body)) throw new GusherError('bad_body');
  return body.toString('utf8');
}

/**
 * Reads a whole body. Rejects with `body_too_large` as soon as it exceeds `maxBytes`, and with `body_timeout` if it
 * does not arrive in time. If the client disconnects, rejects with a `ClientGoneError`.
 */
export function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
    const chunks: Buffer[] = [];
    let bytes = 0;
    const reading: Reading = { since: performance.now(), reject };
    startReading(reading);
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) reject(tooLarge(maxBytes));
      else chunks.push(chunk);
    });
    request.on('end', () => {
      openReadings.delete(reading);
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
    });
    const onClose = (): void => {
      openReadings.delete(reading);
      // `close` follows a complete body too, and an error with a stack costs more than reading that body.
      if (!request.readableEnded) reject(new ClientGoneError());
    };
    // A pipelined request can fail after it was read completely, when its client disconnects.
    request.on('error', onClose);
    request.on('close', onClose);
  });
}

/** Some resources accept less than `GUSHER_BODY_MAX_BYTES`, which `requestError` has checked. */
function tooLarge(maxBytes: number): GusherError {
  return new GusherError('body_too_large', { detail: `The limit of this address is ${maxBytes} bytes.` });
}

interface Reading {
  readonly since: number;
  readonly reject: (error: GusherError) => void;
}

/** Bodies being read, oldest first, with one timer for all. */
const openReadings = new Set<Reading>();
let timeoutCheck: NodeJS.Timeout | undefined;

function startReading(reading: Reading): void {
  openReadings.add(reading);
  timeoutCheck ??= setInterval(rejectLate, CHECK_MS).unref();
}

function rejectLate(): void {
  const latest = performance.now() - BODY_TIMEOUT_MS;
  for (const reading of openReadings) {
    if (reading.since > latest) break;
    openReadings.delete(reading);
    reading.reject(new GusherError('body_timeout'));
  }
  if (openReadings.size > 0) return;
  clearInterval(timeoutCheck);
  timeoutCheck = undefined;
}

/** The client disconnected before its request was complete. */
export class ClientGoneError extends Error {}
