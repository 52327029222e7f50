import { expect } from 'chai';
import { messageText, parseMessage } from '../../../../src/primary/presence/cluster/message.ts';
import { SETTINGS } from '../../../../src/shared/config/settings.ts';
import { MEMBER_INFO_MAX_BYTES } from '../../../../src/shared/model/presence.ts';

function recordsAfter(info: string): number {
  const message = messageText({
    kind: 'delta',
    host: 'a'.repeat(20),
    sequence: 1,
    complete: true,
    isVoter: true,
    records: [{ app: 'shop', channel: 'presence-a', user: 'ann', count: 1, info }],
  });
  return parseMessage(Buffer.from(message))?.records.length ?? -1;
}

describe('Presence message', () => {
  it('keeps a member with the largest info that the setting allows', () => {
    expect(recordsAfter(JSON.stringify('x'.repeat(MEMBER_INFO_MAX_BYTES - 2)))).to.equal(1);
    expect(recordsAfter(JSON.stringify('x'.repeat(MEMBER_INFO_MAX_BYTES - 1)))).to.equal(0);
    expect(recordsAfter(JSON.stringify('é'.repeat(MEMBER_INFO_MAX_BYTES / 2)))).to.equal(0);
    const { parse } = SETTINGS.pusherMemberInfoMaxBytes;
    expect(parse(String(MEMBER_INFO_MAX_BYTES))).to.equal(MEMBER_INFO_MAX_BYTES);
    expect(() => parse(String(MEMBER_INFO_MAX_BYTES + 1))).to.throw();
  });
});
