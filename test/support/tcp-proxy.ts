import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy whose destination can change, as a DNS name's can. Open connections keep their destination. */
export class TcpProxy {
  /** The destination port of new connections. */
  port: number;
  /** Receives what clients write, as it arrives. */
  onWrite: (bytes: Buffer) => void = () => undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.port = port;
    this.#server = createServer((socket) => {
      socket.on('data', (bytes: Buffer) => this.onWrite(bytes));
      this.#forward(socket, connect(this.port, '127.0.0.1'));
    });
  }

  static async start(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #forward(...ends: readonly [Socket, Socket]): void {
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
