import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

const INFO = '# Server\r\nredis_version:7.0.0\r\nloading:0\r\n';

/** A Redis Sentinel (RESP2) whose replies the test controls. */
export class FakeSentinel {
  /** The port of the master that it reports. */
  masterPort: number;
  readonly subscribers = new Set<Socket>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(masterPort: number) {
    this.masterPort = masterPort;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(masterPort: number): Promise<FakeSentinel> {
    const sentinel = new FakeSentinel(masterPort);
    sentinel.#server.listen(0, '127.0.0.1');
    await once(sentinel.#server, 'listening');
    return sentinel;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Switches to another master and notifies the subscribers. */
  switchTo(port: number): void {
    const text = `main 127.0.0.1 ${this.masterPort} 127.0.0.1 ${port}`;
    this.masterPort = port;
    for (const socket of this.subscribers) socket.write(list('message', '+switch-master', text));
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    let text = '';
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.subscribers.delete(socket);
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let words = wordsOf(text); words !== undefined; words = wordsOf(text)) {
        text = text.slice(list(...words).length);
        socket.write(this.#answer(words, socket));
      }
    });
  }

  #answer([command = '', argument = '']: string[], socket: Socket): string {
    switch (command.toLowerCase()) {
      case 'sentinel':
        return argument.toLowerCase() === 'get-master-addr-by-name'
          ? list('127.0.0.1', String(this.masterPort))
          : '*0\r\n';
      case 'info':
        return bulk(INFO);
      case 'subscribe':
        this.subscribers.add(socket);
        return `*3\r\n${bulk('subscribe')}${bulk(argument)}:1\r\n`;
      default:
        return '+OK\r\n';
    }
  }
}

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

function list(...texts: readonly string[]): string {
  return `*${texts.length}\r\n${texts.map(bulk).join('')}`;
}

/** Parses the first command; returns `undefined` if it is incomplete. */
function wordsOf(text: string): string[] | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return undefined;
  const words: string[] = [];
  let at = head[0].length;
  while (words.length < Number(head[1])) {
    const length = /^\$(\d+)\r\n/.exec(text.slice(at));
    if (length === null) return undefined;
    at += length[0].length;
    words.push(text.slice(at, at + Number(length[1])));
    at += Number(length[1]) + 2;
  }
  return text.length < at ? undefined : words;
}
