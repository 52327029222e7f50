/** Resolves with the name of the first and of the second signal that asks the program to stop. */
export function waitForStop(): { first: Promise<NodeJS.Signals>; second: Promise<NodeJS.Signals> } {
  const next = (): Promise<NodeJS.Signals> =>
    new Promise((resolve) => {
      waiting.push(resolve);
    });
  const waiting: ((signal: NodeJS.Signals) => void)[] = [];
  const first = next();
  const second = next();
  // SIGHUP: the terminal was closed.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => waiting.shift()?.(signal));
  }
  return { first, second };
}
