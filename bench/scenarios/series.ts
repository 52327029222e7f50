import type { Measured, Scenario } from '../support/scenario.ts';

/** Runs a scenario at growing sizes, each on a new server. */
export function series(name: string, sizes: readonly number[], at: (size: number) => Scenario): Scenario {
  const scenarios = sizes.map((size) => ({ size, scenario: at(size) }));
  return {
    name,
    suits: (target) => scenarios.every(({ scenario }) => scenario.suits(target)),
    measure: async (target, plan) => {
      const all: Measured[] = [];
      for (const { size, scenario } of scenarios) {
        const measured = [await scenario.measure(target, plan)].flat();
        all.push(...measured.map((each) => ({ ...each, size })));
      }
      return all;
    },
  };
}
