import { METRICS } from '../../src/primary/metrics/catalogue.ts';

/** The table of `docs/metrics.md`. */
export function metricsTable(): string {
  const rows = METRICS.map(({ name, type, labels, help, alert }) =>
    [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help, alert].join(' | '),
  );
  const lines = ['metric | type | labels | meaning | alert when', '---|---|---|---|---', ...rows];
  return lines.map((line) => `| ${line} |`.replace(/ {2,}/g, ' ')).join('\n');
}
