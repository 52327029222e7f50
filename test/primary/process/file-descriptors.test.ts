import { expect } from 'chai';
import { maxPendingSockets, openFilesLimit } from '../../../src/primary/process/file-descriptors.ts';

describe('the files that may be open', () => {
  const settings = { pendingSocketsMax: 8_192, workers: 4 };

  it('are known', () => {
    expect(openFilesLimit()).to.be.above(0);
  });

  it('do for all kinds of guests, workers and gusher itself', () => {
    const pendingSocketsMax = maxPendingSockets(settings, 1_024);
    expect(3 * pendingSocketsMax + 64).to.be.within(900, 1_024);
    expect(maxPendingSockets({ ...settings, workers: 100 }, 1_024)).to.be.below(pendingSocketsMax);
  });

  it('change nothing where there are enough, or where nobody knows', () => {
    expect(maxPendingSockets(settings, 1_048_576)).to.equal(8_192);
    expect(maxPendingSockets(settings, undefined)).to.equal(8_192);
  });

  it('leave some guests however few there are', () => {
    expect(maxPendingSockets(settings, 20)).to.equal(16);
  });
});
