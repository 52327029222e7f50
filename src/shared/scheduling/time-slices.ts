/** How much is done before others get their turn, in ms. */
const SLICE_MS = 5;
const STEPS_PER_CHECK = 64;

/** Does something with every item, a few milliseconds at a time, so that whatever else the process has to do is not late. */
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
