import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../../shared/errors.ts';

/**
 * Reads a whole body as UTF-8 text. Refuses with `body_too_large` as soon as it is known to be longer than
 * `maxBytes`, and with `bad_body` if it is not UTF-8. Rejects with another error if the client hangs up.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw new RefusalError('body_too_large');
  const body = await collect(request, maxBytes);
  if (!isUtf8(body)) throw new RefusalError('bad_body');
  return body.toString('utf8');
}

function collect(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) reject(new RefusalError('body_too_large'));
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () => reject(new ClientGoneError()));
  });
}

/** The client hung up in the middle of its request: there is nobody to answer. */
export class ClientGoneError extends Error {}
