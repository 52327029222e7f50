import { expect } from 'chai';
import { GusherError } from '../../../../src/shared/errors/catalogue.ts';
import type { Publication } from '../../../../src/shared/model/publication.ts';
import { publishMany } from '../../../../src/worker/api/publish/publish-many.ts';

/** A publisher whose broker answers at the end of a turn, and a record of its publications. */
function slowPublisher(rejectAt = Number.POSITIVE_INFINITY) {
  const seen = { channels: [] as string[], inFlight: 0, inFlightMax: 0, turns: 0 };
  let answer: Promise<void> | undefined;
  const publish = async (_appKey: string, { channel }: Publication): Promise<void> => {
    if (seen.channels.length === rejectAt) throw new Error('rejected');
    seen.channels.push(channel);
    seen.inFlight += 1;
    seen.inFlightMax = Math.max(seen.inFlightMax, seen.inFlight);
    answer ??= new Promise<void>((resolve) => {
      setImmediate(() => {
        seen.turns += 1;
        answer = undefined;
        resolve();
      });
    });
    await answer;
    seen.inFlight -= 1;
  };
  return { publish, seen };
}

function publications(count: number, data = '1'): Publication[] {
  return Array.from({ length: count }, (_, n) => ({ channel: `c${n}`, event: 'e', data }));
}

describe('publishMany', () => {
  it('publishes in order, without waiting for each publication', async () => {
    const { publish, seen } = slowPublisher();
    const many = publications(2_200);
    await publishMany({ publish }, 'app', many);
    expect(seen.channels).to.deep.equal(many.map(({ channel }) => channel));
    expect(seen.turns).to.be.lessThan(10);
    expect(seen.inFlightMax).to.equal(500);
  });

  it('bounds the bytes in flight', async () => {
    const { publish, seen } = slowPublisher();
    await publishMany({ publish }, 'app', publications(40, 'x'.repeat(1024 * 1024)));
    expect(seen.channels).to.have.length(40);
    expect(seen.inFlightMax).to.equal(4);
  });

  it('stops at a publication that the broker rejects', async () => {
    const { publish, seen } = slowPublisher(700);
    const outcome = await publishMany({ publish }, 'app', publications(2_000)).catch(
      (error: Error) => error.message,
    );
    expect(outcome).to.equal('rejected');
    expect(seen.channels.length).to.be.at.most(1_000);
  });

  const publishExcept =
    (rejected: readonly string[]) =>
    async (_app: string, { channel }: Publication) => {
      if (rejected.includes(channel)) throw new GusherError('broker_unavailable');
    };
  const outcomeOf = (rejected: readonly string[]): Promise<string> =>
    publishMany({ publish: publishExcept(rejected) }, 'app', publications(2)).then(
      () => 'published',
      (error: GusherError) => error.code,
    );

  it('rejects with outcome_unknown if only some publications succeeded', async () => {
    expect(await outcomeOf(['c1'])).to.equal('outcome_unknown');
    expect(await outcomeOf(['c0'])).to.equal('outcome_unknown');
    expect(await outcomeOf(['c0', 'c1'])).to.equal('broker_unavailable');
  });
});
