import { Agent, request } from 'node:http';
import { expect } from 'chai';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP, signedTarget } from '../support/pusher-app.ts';

const PER_SECOND = 32;
/** More than any second of a test may hold. */
const MANY = 10 * PER_SECOND;

interface Response {
  readonly status: number;
  readonly connection: string;
  readonly code: string;
}

/** Sends requests one after the other on one kept connection. */
class KeptConnection {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;
  /** Local ports of the connections that were used. */
  readonly ports = new Set<number>();

  constructor(port: number) {
    this.#port = port;
  }

  send(method: string, path: string, body = ''): Promise<Response> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.#port, agent: this.#agent, method, path };
      const sent = request(options, (response) => {
        this.ports.add(response.socket.localPort ?? 0);
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => {
          const code = /"code":"(\w+)"/.exec(text)?.[1] ?? '';
          resolve({ status: response.statusCode ?? 0, connection: response.headers.connection ?? '', code });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

describe('request rate of a connection', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;
  let connection: KeptConnection;

  before(async () => {
    apps = new AppsFile();
    const env = {
      GUSHER_APPS_FILE: apps.path,
      GUSHER_CONNECTION_REQUESTS_PER_SECOND: String(PER_SECOND),
    };
    gusher = await startGusher({ workers: 1, env });
  });

  afterEach(() => connection.close());

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
    apps.remove();
  });

  for (const [method, path, status] of [
    ['GET', '/healthz', 200],
    ['GET', `/${'%C3%A4'.repeat(500)}`, 404],
    ['POST', '/apps/4242/events', 401],
  ] as const) {
    it(`rejects ${method} ${path.slice(0, 20)} beyond it and closes the connection`, async () => {
      connection = new KeptConnection(gusher.port);
      const statuses: number[] = [];
      let last: Response;
      do {
        last = await connection.send(method, path);
        statuses.push(last.status);
      } while (last.status === status && statuses.length < 100 * PER_SECOND);
      expect(last).to.deep.equal({
        status: 429,
        connection: 'close',
        code: 'too_many_requests',
      });
      expect(statuses.length).to.be.above(PER_SECOND);
      expect(connection.ports.size).to.equal(1);
      expect((await connection.send(method, path)).status, 'on a new connection').to.equal(status);
      expect(connection.ports.size).to.equal(2);
    });
  }

  it('does not count requests with a valid signature', async () => {
    connection = new KeptConnection(gusher.port);
    const body = '{"name":"e","channel":"c","data":"x"}';
    for (let count = 0; count < MANY; count += 1) {
      const target = signedTarget('POST', `/apps/${PUSHER_APP.id}/events`, body);
      expect((await connection.send('POST', target, body)).status).to.equal(200);
    }
    expect(connection.ports.size).to.equal(1);
  });

  it('does not apply to the API port', async () => {
    connection = new KeptConnection(Number(new URL(gusher.api).port));
    for (let count = 0; count < MANY; count += 1)
      expect((await connection.send('GET', '/healthz')).status).to.equal(200);
  });
});
