import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** An address on loopback that leads elsewhere, as a name does: whoever has come through stays where it is. */
export class Passage {
  /** Where new connections lead. */
  port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.port = port;
    this.#server = createServer((socket) => this.#lead(socket, connect(this.port, '127.0.0.1')));
  }

  static async start(port: number): Promise<Passage> {
    const passage = new Passage(port);
    passage.#server.listen(0, '127.0.0.1');
    await once(passage.#server, 'listening');
    return passage;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #lead(...ends: readonly [Socket, Socket]): void {
    for (const [from, to] of [ends, [...ends].reverse()] as [Socket, Socket][]) {
      this.#sockets.add(from);
      from.on('error', () => from.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
