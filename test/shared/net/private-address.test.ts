import { expect } from 'chai';
import { isPrivateAddress } from '../../../src/shared/net/private-address.ts';

describe('isPrivateAddress', () => {
  it('is true for addresses of the machine, of the site, and without an owner', () => {
    for (const address of [
      '127.0.0.1',
      '127.255.255.255',
      '0.0.0.0',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      'fe80::1',
      'fe80::1%eth0',
      'fc00::1',
      'fd12:3456::1',
      'ff02::1',
      '::ffff:127.0.0.1',
      '::ffff:10.0.0.1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      '2001:db8::1',
    ]) {
      expect(isPrivateAddress(address), address).to.equal(true);
    }
  });

  it('is false for addresses of the public internet', () => {
    for (const address of [
      '1.1.1.1',
      '172.32.0.1',
      '172.15.255.255',
      '192.169.0.1',
      '100.128.0.1',
      '11.0.0.1',
    ]) {
      expect(isPrivateAddress(address), address).to.equal(false);
    }
    for (const address of ['2606:4700:4700::1111', '2a00:1450:4001::200e']) {
      expect(isPrivateAddress(address), address).to.equal(false);
    }
  });

  it('is true for text that is no address', () => {
    for (const text of ['', 'localhost', '127.1', '0x7f.0.0.1', '1.2.3.4.5']) {
      expect(isPrivateAddress(text), text).to.equal(true);
    }
  });
});
