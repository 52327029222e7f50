import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { GusherError } from '../../../../src/shared/errors/catalogue.ts';
import { type Page, parsePageQuery, sendList } from '../../../../src/worker/api/http/pagination.ts';
import { within } from '../../../support/deadline.ts';
import { routerForTests } from '../../../support/router.ts';

describe('sendList', () => {
  let server: Server;
  let pages: (() => Page)[];

  beforeEach(async () => {
    const router = routerForTests();
    router.get('/list', async ({ request, response }) => {
      await sendList(
        response,
        parsePageQuery(request),
        async () => pages.shift()?.() ?? { items: [], next: undefined },
      );
    });
    server = createServer(router.serve).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  const get = async (): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/list`);
    return response.text();
  };

  it('aborts the response if a later page is unavailable', async () => {
    pages = [
      () => ({ items: ['"a"'], next: 'a' }),
      () => {
        throw new GusherError('presence_timeout');
      },
    ];
    const outcome = await within(
      get().catch((error: Error) => error.message),
      'the end of the response',
    );
    expect(outcome).to.match(/^(?:terminated|fetch failed)$/);
  });

  it('adds no listeners while it waits for a slow client', async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error): unknown => warnings.push(warning);
    process.on('warning', warn);
    const item = `"${'x'.repeat(1_000_000)}"`;
    pages = Array.from({ length: 30 }, (_, number) => () => ({
      items: [item],
      next: number < 29 ? 'x' : undefined,
    }));
    expect(JSON.parse(await get())).to.have.length(30);
    await new Promise(setImmediate);
    process.off('warning', warn);
    expect(warnings).to.deep.equal([]);
  });
});
