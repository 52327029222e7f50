import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An auth webhook that accepts every client: the credential is the user id, and all channels are granted. */
export class IdentityServer {
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const user = new URLSearchParams(Buffer.concat(chunks).toString()).get('auth') ?? '';
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ user_id: user, channels: ['*'] }));
    });
  });

  static async start(): Promise<IdentityServer> {
    const identities = new IdentityServer();
    identities.#server.listen(0, '127.0.0.1');
    await once(identities.#server, 'listening');
    return identities;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
