import { expect } from 'chai';
import { pino } from 'pino';
import type { App } from '../../../src/shared/apps/app.ts';
import { Apps } from '../../../src/shared/apps/app-registry.ts';

const SHOP: App = { key: 'shop', enabled: true };

describe('the apps that a process knows', () => {
  let stored: App | undefined;
  let reads = 0;
  const store = {
    load: async () => {
      reads += 1;
      return stored;
    },
    findById: async () => undefined,
  };

  beforeEach(() => {
    stored = undefined;
    reads = 0;
  });

  const appsOf = (takesAnyKey = false): Apps =>
    new Apps({ store, demoApp: undefined, takesAnyKey, log: pino({ level: 'silent' }) });

  it('have a new one in them at once, also when somebody has just asked for it in vain', async () => {
    const apps = appsOf();
    expect(await apps.find('shop')).to.equal(undefined);
    stored = SHOP;
    expect(await apps.find('shop')).to.equal(SHOP);
  });

  it('are not read for each of those who come', async () => {
    stored = SHOP;
    const apps = appsOf();
    await apps.find('shop');
    for (let n = 0; n < 100; n += 1) await apps.find('shop');
    const tokensOnly = appsOf(true);
    for (let n = 0; n < 100; n += 1) await tokensOnly.find('other');
    // Each is read anew after half a second.
    expect(reads).to.be.lessThan(20);
  });

  it('are read once for all who ask for the same in one moment, also when it is not there', async () => {
    const apps = appsOf();
    await Promise.all(Array.from({ length: 100 }, () => apps.find('shop')));
    expect(reads).to.equal(1);
  });
});
