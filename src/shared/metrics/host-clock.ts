const MS_PER_SECOND = 1_000;
const NS_PER_MS = 1_000_000;

/** `performance.now()` begins with the process; `process.hrtime()` reads the same clock of the system. */
const OFFSET_MS = offsetMs();

/**
 * Returns the ms of the monotonic clock of this host. All processes of one host read the same clock, so they can compare
 * its times. Times of different hosts are unrelated.
 */
export function hostNow(): number {
  return performance.now() + OFFSET_MS;
}

function offsetMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * MS_PER_SECOND + nanoseconds / NS_PER_MS - performance.now();
}
