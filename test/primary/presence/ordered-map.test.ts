import { expect } from 'chai';
import { OrderedMap } from '../../../src/primary/presence/ordered-map.ts';

/** Sets and deletes the names of a fixed sequence, in the map and in a set as a model. */
function churn(
  map: OrderedMap<number>,
  truth: Set<string>,
  steps: number,
  names: number,
  bias: number,
): void {
  let seed = 42;
  for (let step = 0; step < steps; step += 1) {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    const name = `n${(seed >>> 4) % names}`;
    if (seed % 100 < bias) {
      map.set(name, step);
      truth.add(name);
    } else {
      map.delete(name);
      truth.delete(name);
    }
  }
}

describe('OrderedMap', () => {
  for (const names of [50, 900, 5_000]) {
    it(`lists ${names} names in order while names are added and removed`, () => {
      const map = new OrderedMap<number>();
      const truth = new Set<string>();
      for (const bias of [90, 50, 10, 95, 2, 60]) {
        churn(map, truth, 3 * names, names, bias);
        expect(map.size).to.equal(truth.size);
        expect([...map.names({})]).to.deep.equal([...truth].sort());
        const withPrefix = [...truth].filter((name) => name.startsWith('n4')).sort();
        expect([...map.names({ prefix: 'n4' })]).to.deep.equal(withPrefix);
        const behind = [...truth].filter((name) => name > 'n42').sort();
        expect([...map.names({ after: 'n42' })]).to.deep.equal(behind);
        const both = behind.filter((name) => name.startsWith('n4'));
        expect([...map.names({ prefix: 'n4', after: 'n42' })]).to.deep.equal(both);
        expect([...map.names({ prefix: 'n4', after: 'a' })]).to.deep.equal(withPrefix);
        expect([...map.names({ prefix: 'n4', after: 'n5' })]).to.deep.equal([]);
      }
    });
  }

  it('returns the value of a name that was deleted and set again', () => {
    const map = new OrderedMap<number>();
    for (let n = 0; n < 1_200; n += 1) map.set(`n${n}`, n);
    map.delete('n7');
    expect(map.get('n7')).to.equal(undefined);
    map.set('n7', 70);
    expect(map.get('n7')).to.equal(70);
    expect([...map.names({ prefix: 'n7' })].filter((name) => name === 'n7')).to.have.length(1);
  });
});
