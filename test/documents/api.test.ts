import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Api } from '../support/api.ts';
import { readApiExamples } from '../support/api-examples.ts';
import { type Client, connectClient } from '../support/client.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { keyFolder, signToken } from '../support/tokens.ts';

describe('docs/api.md', () => {
  const keys = keyFolder();
  const api = new Api(() => gusher.api);
  let gusher: RunningGusher;
  let ann: Client;
  let token: string;
  let socketId: string;

  before(async () => {
    gusher = await startGusher({ workers: 2, env: { GUSHER_JWT_PUBLIC_KEY_FILE: keys.publicPath } });
    token = await signToken(keys.privateKey, { app_key: 'shop', user_id: 'ann', channels: ['*'] });
    ann = await connectClient(gusher.clientUrl('shop', `?token=${token}`));
    await ann.subscribe('orders');
    await ann.subscribe('news');
    socketId = (await ann.request('gusher.ping')).socket_id ?? '';
  });
  after(async () => {
    ann.socket.terminate();
    await gusher.stop();
    keys.remove();
  });

  const filled = (text: string): string =>
    text.replaceAll('{socket_id}', socketId).replaceAll('{token}', token);

  for (const { line, method, path, body, status, answer } of readApiExamples('docs/api.md')) {
    it(`matches the server in line ${line}: ${method} ${path}`, async () => {
      const got = await api.request(method, filled(path), body === undefined ? undefined : filled(body));
      const text = got.text
        .replaceAll(/(?<="\w+_ms":)[\d.]+/g, '{ms}')
        .replace(/(?<="ready","worker":)\d+/, '{slot}');
      expect({ status: got.status, body: text }).to.deep.equal({ status, body: filled(answer) });
    });
  }

  it('lists every route of the API', () => {
    const source = readFileSync('src/worker/api/routes.ts', 'utf8');
    const document = readFileSync('docs/api.md', 'utf8');
    const paths = [...source.matchAll(/'(\/[^']*)'/g)].map(([, path = '']) =>
      path.replace(/:(\w+)/g, '{$1}'),
    );
    expect(paths.length).to.be.greaterThan(20);
    const missing = paths.filter((path) => !document.includes(path));
    expect(missing, 'routes that docs/api.md lacks').to.deep.equal([]);
  });

  it('names only existing settings', () => {
    const known = readFileSync('docs/settings.md', 'utf8');
    const ours = readFileSync('docs/api.md', 'utf8').match(/GUSHER_[A-Z_]+/g) ?? [];
    expect(ours.filter((name) => !known.includes(name))).to.deep.equal([]);
  });
});
