import { expect } from 'chai';
import { Closers } from '../../../src/shared/process/closers.ts';
import { silentLog } from '../../support/silent-log.ts';

describe('Closers', () => {
  let closed: string[];
  let errors: unknown[];
  let closers: Closers;

  beforeEach(() => {
    closed = [];
    errors = [];
    const log = silentLog();
    log.error = (facts: unknown) => void errors.push(facts);
    closers = new Closers({ log });
  });

  const close = (name: string) => (): void => void closed.push(name);

  it('closes the part that was opened last first, one at a time', async () => {
    closers.add('store', close('store'));
    closers.add('broker', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      closed.push('broker');
    });
    closers.add('listener', close('listener'));
    expect(await closers.close()).to.equal(true);
    expect(closed).to.deep.equal(['listener', 'broker', 'store']);
  });

  const failures: [how: string, fail: () => unknown, reason: RegExp][] = [
    ['throws', () => throwError('no'), /^no$/],
    ['rejects', () => Promise.reject(new Error('no')), /^no$/],
    ['never finishes', () => new Promise(() => undefined), /^not closed within 20 ms$/],
  ];
  for (const [how, fail, reason] of failures) {
    it(`logs a part that ${how} by its name, and closes the others`, async () => {
      closers.add('store', close('store'));
      closers.add('broker', fail, 20);
      closers.add('listener', close('listener'));
      expect(await closers.close()).to.equal(false);
      expect(closed).to.deep.equal(['listener', 'store']);
      expect(errors).to.have.lengthOf(1);
      expect(errors[0]).to.include({ event: 'close_failed', part: 'broker' });
      expect((errors[0] as { err: Error }).err.message).to.match(reason);
    });
  }

  it('closes nothing twice', async () => {
    closers.add('store', close('store'));
    await closers.close();
    expect(await closers.close()).to.equal(true);
    expect(closed).to.deep.equal(['store']);
  });
});

function throwError(message: string): never {
  throw new Error(message);
}
