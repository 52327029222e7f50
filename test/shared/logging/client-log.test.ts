import { expect } from 'chai';
import { ERRORS } from '../../../src/shared/errors/catalogue.ts';
import { ClientLog } from '../../../src/shared/logging/client-log.ts';
import { createStats } from '../../../src/shared/metrics/stats.ts';
import { silentLog } from '../../support/silent-log.ts';

describe('ClientLog', () => {
  it('counts rejected connects by their code', () => {
    const stats = createStats();
    const clientLog = new ClientLog({ log: silentLog(), stats });
    for (const error of [ERRORS.too_many_connects, ERRORS.too_many_connections, ERRORS.unknown_app]) {
      clientLog.connectRejected(error, { address: '192.0.2.1' });
    }
    expect(stats.errors).to.deep.equal({
      'connect too_many_connects': 1,
      'connect too_many_connections': 1,
      'connect unknown_app': 1,
    });
  });
});
