import { expect } from 'chai';
import { ERRORS } from '../../../src/shared/errors/catalogue.ts';
import { ClientLog } from '../../../src/shared/logging/client-log.ts';
import { createStats } from '../../../src/shared/stats.ts';
import { silentLog } from '../../support/silent-log.ts';

describe('ClientLog', () => {
  it('counts connects beyond the limits of an address also on their own', () => {
    const stats = createStats();
    const clientLog = new ClientLog({ log: silentLog(), stats });
    for (const error of [ERRORS.too_many_connects, ERRORS.too_many_connections, ERRORS.unknown_app]) {
      clientLog.connectRejected(error, { address: '192.0.2.1' });
    }
    expect(stats.connectionsRejected).to.equal(3);
    expect(stats.connectionsAddressLimited).to.equal(2);
  });
});
