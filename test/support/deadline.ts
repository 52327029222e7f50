/** A bound against hanging, not a measure: a machine that is busy with other tests too is slow. */
const PATIENCE_MS = 30_000;

/** Waits for a promise, and fails with a sentence when it takes too long. */
export async function within<T>(promise: Promise<T>, what: string, timeoutMs = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms in vain for ${what}`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** How many seconds, as a clock has them, lie in part or whole between then and now. */
export function secondsTouchedSince(then: number): number {
  return Math.floor((performance.now() - then) / 1_000) + 2;
}

/** Asks again and again until the answer is yes, and fails with a sentence when it takes too long. */
export async function eventually(
  question: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (!(await question())) {
    if (performance.now() > until) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
