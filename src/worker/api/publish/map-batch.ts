import { GusherError } from '../../../shared/errors/catalogue.ts';

/** Maps the items of a batch. A `GusherError` of one item gets the index of that item. */
export function mapBatch<Item, Result>(
  items: readonly Item[],
  map: (item: Item, index: number) => Result,
): Result[] {
  return items.map((item, index) => {
    try {
      return map(item, index);
    } catch (error) {
      throw error instanceof GusherError ? error.atIndex(index) : error;
    }
  });
}
