/** Length of one slice in ms. */
const SLICE_MS = 5;
const STEPS_PER_CHECK = 64;

/** Calls `step` with every item, in slices of a few milliseconds, so that other work of the process is not delayed. */
export async function forEachInSlices<Item>(
  items: Iterable<Item>,
  step: (item: Item) => void,
): Promise<void> {
  let until = performance.now() + SLICE_MS;
  let steps = 0;
  for (const item of items) {
    step(item);
    steps += 1;
    if (steps % STEPS_PER_CHECK !== 0 || performance.now() < until) continue;
    await new Promise(setImmediate);
    until = performance.now() + SLICE_MS;
  }
}
