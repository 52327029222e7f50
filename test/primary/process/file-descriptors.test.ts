import { expect } from 'chai';
import { maxPendingSockets, openFilesLimit } from '../../../src/primary/process/file-descriptors.ts';

describe('the limit of file descriptors', () => {
  const settings = { pendingSocketsMax: 8_192, workers: 4 };

  it('is known', () => {
    expect(openFilesLimit()).to.be.above(0);
  });

  it('leaves descriptors for all pools of sockets, workers and gusher itself', () => {
    const pendingSocketsMax = maxPendingSockets(settings, 1_024);
    expect(3 * pendingSocketsMax + 64).to.be.within(900, 1_024);
    expect(maxPendingSockets({ ...settings, workers: 100 }, 1_024)).to.be.below(pendingSocketsMax);
  });

  it('does not lower the setting if it is high or unknown', () => {
    expect(maxPendingSockets(settings, 1_048_576)).to.equal(8_192);
    expect(maxPendingSockets(settings, undefined)).to.equal(8_192);
  });

  it('leaves a minimum of pending sockets', () => {
    expect(maxPendingSockets(settings, 20)).to.equal(16);
  });
});
