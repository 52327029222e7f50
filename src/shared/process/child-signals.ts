/**
 * Imported first, for its effect, by the children of the primary. A terminal sends its signals to the whole process
 * group; the primary decides what they mean. Without a listener SIGUSR1 opens Node's inspector, and the others end
 * the process.
 */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
  process.on(signal, ignoreForPrimary);
}

function ignoreForPrimary(): void {}
