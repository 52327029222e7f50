import { expect } from 'chai';
import { GusherError } from '../../../../src/shared/errors/catalogue.ts';
import type { Publication } from '../../../../src/shared/model/publication.ts';
import { publishMany } from '../../../../src/worker/api/publish/publish-many.ts';

/** A publisher whose broker answers at the end of a turn, and what was on its way to it. */
function slowPublisher(rejectAt = Number.POSITIVE_INFINITY) {
  const seen = { channels: [] as string[], inFlight: 0, inFlightMost: 0, turns: 0 };
  let answer: Promise<void> | undefined;
  const publish = async (_appKey: string, { channel }: Publication): Promise<void> => {
    if (seen.channels.length === rejectAt) throw new Error('refused');
    seen.channels.push(channel);
    seen.inFlight += 1;
    seen.inFlightMost = Math.max(seen.inFlightMost, seen.inFlight);
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

function ignoreSize(): void {}

describe('publishing many messages', () => {
  it('keeps their order, and does not wait for each', async () => {
    const { publish, seen } = slowPublisher();
    const many = publications(2_200);
    await publishMany({ publish, check: ignoreSize }, 'app', many);
    expect(seen.channels).to.deep.equal(many.map(({ channel }) => channel));
    expect(seen.turns).to.be.lessThan(10);
    expect(seen.inFlightMost).to.equal(500);
  });

  it('has no more on its way than a broker takes, however long each is', async () => {
    const { publish, seen } = slowPublisher();
    await publishMany({ publish, check: ignoreSize }, 'app', publications(40, 'x'.repeat(1024 * 1024)));
    expect(seen.channels).to.have.length(40);
    expect(seen.inFlightMost).to.equal(4);
  });

  it('ends with what is refused', async () => {
    const { publish, seen } = slowPublisher(700);
    const outcome = await publishMany({ publish, check: ignoreSize }, 'app', publications(2_000)).catch(
      (error: Error) => error.message,
    );
    expect(outcome).to.equal('refused');
    expect(seen.channels.length).to.be.at.most(1_000);
  });

  const refusing =
    (rejected: readonly string[]) =>
    async (_app: string, { channel }: Publication) => {
      if (rejected.includes(channel)) throw new GusherError('broker_unavailable');
    };
  const outcomeOf = (rejected: readonly string[]): Promise<string> =>
    publishMany({ publish: refusing(rejected), check: ignoreSize }, 'app', publications(2)).then(
      () => 'published',
      (error: GusherError) => error.code,
    );

  it('tells that the outcome is unknown if some of the messages were published', async () => {
    expect(await outcomeOf(['c1'])).to.equal('outcome_unknown');
    expect(await outcomeOf(['c0'])).to.equal('outcome_unknown');
    expect(await outcomeOf(['c0', 'c1'])).to.equal('broker_unavailable');
  });
});
