import { expect } from 'chai';
import { WebSocket } from 'ws';
import { within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { sendRaw } from '../support/raw-http.ts';

describe('API without a token', () => {
  let gusher: RunningGusher;
  let port: number;

  before(async () => {
    gusher = await startGusher({ workers: 1 });
    port = Number(new URL(gusher.api).port);
  });

  after(() => gusher.stop());

  async function codeOf(line: string, headers: Record<string, string>, body = ''): Promise<string> {
    const fields = { Connection: 'close', 'Content-Length': String(body.length), ...headers };
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    const answer = await sendRaw(port, `${line} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
    return (JSON.parse(answer.body) as { error?: { code: string } }).error?.code ?? String(answer.status);
  }

  const REQUESTS = [
    ['PUT /v1/admin/apps/x', '{"channels":["*"]}'],
    ['DELETE /v1/admin/apps/demo', ''],
    ['POST /v1/apps/demo/channels/news/messages', '{"event":"e"}'],
    ['POST /push/demo/news/e', 'data=1'],
    ['GET /v1/stats', ''],
    ['GET /demo/channels', ''],
    ['GET /version', ''],
  ] as const;

  for (const [line, body] of REQUESTS) {
    it(`rejects ${line} from a web page`, async () => {
      expect(await codeOf(line, { Host: 'evil.example' }, body)).to.equal('foreign_host');
      const page = { Host: 'localhost', Origin: 'http://evil.example', 'Content-Type': 'text/plain' };
      expect(await codeOf(line, page, body)).to.equal('foreign_origin');
      const image = { Host: '127.0.0.1', 'Sec-Fetch-Site': 'cross-site' };
      expect(await codeOf(line, image, body)).to.equal('foreign_origin');
    });
  }

  it('checks the authority of an absolute target, not the Host field', async () => {
    expect(await codeOf('GET http://evil.example/v1/stats', { Host: 'localhost' })).to.equal('foreign_host');
  });

  it('accepts requests of programs, and health checks with any Host', async () => {
    expect(await codeOf('GET /v1/stats', { Host: 'localhost:1' })).to.equal('200');
    expect(await codeOf('GET /healthz', { Host: 'gusher.internal' })).to.equal('200');
  });

  it('rejects pages of other origins in the demo app', async () => {
    const status = async (origin: string): Promise<string> => {
      const socket = new WebSocket(gusher.clientUrl(), { origin });
      const outcome = await within(
        new Promise<string>((resolve) => {
          socket.once('open', () => resolve('open'));
          socket.once('error', (error) => resolve(error.message));
        }),
        'the handshake',
      );
      socket.terminate();
      return outcome;
    };
    expect(await status('http://localhost:3000')).to.equal('open');
    expect(await status('http://evil.example')).to.contain('403');
  });
});
