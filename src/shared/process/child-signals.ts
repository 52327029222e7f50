/**
 * Child processes import this first, for its side effect. A terminal sends its signals to the whole process
 * group; only the primary handles them. Without a listener SIGUSR1 opens Node's inspector, and the others end
 * the process.
 */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
  process.on(signal, ignoreForPrimary);
}

function ignoreForPrimary(): void {}
