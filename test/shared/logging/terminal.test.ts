import { expect } from 'chai';
import { painterFor } from '../../../src/shared/logging/terminal.ts';

describe('painterFor', () => {
  it('paints on a terminal with colors', () => {
    expect(painterFor({ isTTY: true, hasColors: () => true })('red', 'x')).to.equal('\u001b[31mx\u001b[0m');
  });

  it('changes nothing on a pipe, or on a terminal without colors', () => {
    expect(painterFor({})('red', 'x')).to.equal('x');
    expect(painterFor({ isTTY: true, hasColors: () => false })('red', 'x')).to.equal('x');
  });
});
