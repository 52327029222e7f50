import { expect } from 'chai';
import type { App } from '../../../src/shared/apps/app.ts';
import { AppRegistry } from '../../../src/shared/apps/app-registry.ts';
import type { GusherError } from '../../../src/shared/errors/catalogue.ts';
import { eventually, within } from '../../support/deadline.ts';
import { silentLog } from '../../support/silent-log.ts';

const SHOP: App = { key: 'shop', enabled: true };

describe('AppRegistry', () => {
  let stored: App | undefined;
  let reads = 0;
  const store = {
    load: async () => {
      reads += 1;
      return stored;
    },
    ids: async () => new Map(),
  };

  beforeEach(() => {
    stored = undefined;
    reads = 0;
  });

  const appsOf = (allowUnregistered = false): AppRegistry =>
    new AppRegistry({ store, demoApp: undefined, allowUnregistered, log: silentLog() });

  it('finds a new app immediately after a lookup that found nothing', async () => {
    const apps = appsOf();
    expect(await apps.find('shop')).to.equal(undefined);
    stored = SHOP;
    expect(await apps.find('shop')).to.equal(SHOP);
  });

  it('does not read an app for each lookup', async () => {
    stored = SHOP;
    const apps = appsOf();
    await apps.find('shop');
    for (let n = 0; n < 100; n += 1) await apps.find('shop');
    const tokensOnly = appsOf(true);
    for (let n = 0; n < 100; n += 1) await tokensOnly.find('other');
    // An app is read again after half a second.
    expect(reads).to.be.lessThan(20);
  });

  it('reads an app once for all concurrent lookups, also if it does not exist', async () => {
    const apps = appsOf();
    await Promise.all(Array.from({ length: 100 }, () => apps.find('shop')));
    expect(reads).to.equal(1);
  });

  it('returns cached apps while the store hangs, however many unknown keys are looked up', async () => {
    stored = SHOP;
    let isHanging = false;
    const apps = new AppRegistry({
      store: { ...store, load: () => (isHanging ? new Promise<never>(() => undefined) : store.load()) },
      demoApp: undefined,
      allowUnregistered: false,
      log: silentLog(),
    });
    await apps.find('shop');
    isHanging = true;
    const unknown = Array.from({ length: 400 }, (_, n) => apps.find(`unknown${n}`).catch(() => 'rejected'));
    await eventually(() => apps.peek('shop') === undefined, 'the cached app is stale');
    expect(await within(apps.find('shop'), 'a cached app')).to.equal(SHOP);
    const settled = await Promise.all(unknown.slice(100));
    expect(new Set(settled)).to.deep.equal(new Set(['rejected']));
  });

  it('evicts no app because of keys that do not exist', async () => {
    let isDown = false;
    const load = async (key: string): Promise<App | undefined> => {
      if (isDown) throw new Error('down');
      return key === 'shop' ? SHOP : undefined;
    };
    const log = silentLog();
    const apps = new AppRegistry({
      store: { ...store, load },
      demoApp: undefined,
      allowUnregistered: false,
      log,
    });
    await apps.find('shop');
    for (let n = 0; n < 10_050; n += 1) await apps.find(`unknown${n}`);
    isDown = true;
    await eventually(() => apps.peek('shop') === undefined, 'the cached app is stale');
    expect(await apps.find('shop')).to.equal(SHOP);
  });

  describe('#findById', () => {
    const APPS = new Map(
      Array.from({ length: 50 }, (_, n) => [
        `app${n}`,
        { key: `app${n}`, id: String(1_000 + n), enabled: true },
      ]),
    );
    let scans = 0;
    const scanned = {
      load: async (key: string): Promise<App | undefined> => APPS.get(key),
      ids: async () => {
        scans += 1;
        await new Promise((resolve) => setTimeout(resolve, 5));
        return new Map([...APPS.values()].map(({ key, id }) => [id, [key]]));
      },
    };
    const open = (overrides: Partial<typeof scanned> = {}): AppRegistry =>
      new AppRegistry({
        store: { ...scanned, ...overrides },
        demoApp: undefined,
        allowUnregistered: false,
        log: silentLog(),
      });

    beforeEach(() => {
      scans = 0;
    });

    it('finds an app while many unknown ids wait, with one read for all of them', async () => {
      const apps = open();
      const unknown = Array.from({ length: 1_000 }, (_, n) => apps.findById(`9${n}`));
      expect((await apps.findById('1007'))?.key).to.equal('app7');
      expect(await Promise.all(unknown)).to.deep.equal(unknown.map(() => undefined));
      expect(scans).to.equal(1);
      for (let n = 0; n < 50; n += 1)
        expect((await apps.findById(String(1_000 + n)))?.key).to.equal(`app${n}`);
      expect(scans).to.equal(1);
    });

    it('finds an app immediately after it is registered', async () => {
      const apps = open();
      expect(await apps.findById('77')).to.equal(undefined);
      APPS.set('late', { key: 'late', id: '77', enabled: true });
      expect((await apps.findById('77'))?.key).to.equal('late');
      APPS.delete('late');
    });

    it('returns the app of the second key if the first key has none', async () => {
      const ids = async () => new Map([['1003', ['other', 'app3']]]);
      expect((await open({ ids }).findById('1003'))?.key).to.equal('app3');
    });

    it('rejects with apps_unavailable while the ids cannot be read, and works afterwards', async () => {
      let isDown = true;
      const ids = (): ReturnType<typeof scanned.ids> =>
        isDown ? Promise.reject(new Error('down')) : scanned.ids();
      const apps = open({ ids });
      const codeOf = (error: GusherError): string => error.code;
      expect(await apps.findById('1001').catch(codeOf)).to.equal('apps_unavailable');
      isDown = false;
      expect((await apps.findById('1001'))?.key).to.equal('app1');
    });
  });
});
