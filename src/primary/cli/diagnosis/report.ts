import { type Color, type Paint, painterFor, withoutControls } from '../../../shared/logging/terminal.ts';
import { print } from '../output.ts';
import { countOf, type Finding, type Severity } from './finding.ts';

const MARKS: Readonly<Record<Severity, readonly [mark: string, color: Color]>> = {
  ok: ['✔', 'green'],
  skipped: ['-', 'gray'],
  warning: ['!', 'yellow'],
  problem: ['✖', 'red'],
};
const SEVERITIES: readonly Severity[] = ['problem', 'warning', 'ok', 'skipped'];

/** Prints findings: one line each, the fix below it, and a summary. With `json`, one JSON object. */
export function printReport(findings: readonly Finding[], json: boolean, more: object = {}): void {
  if (json) {
    const counts = Object.fromEntries(SEVERITIES.map((severity) => [severity, countOf(severity, findings)]));
    print(JSON.stringify({ ...counts, ...more, findings }));
    return;
  }
  const paint = painterFor(process.stdout);
  for (const finding of findings) print(linesOf(finding, paint));
  print(`\n${summaryOf(findings, paint)}`);
}

/** Returns the lines of one finding. Attack: control characters in names and replies of other programs. */
function linesOf({ check, severity, message, fix }: Finding, paint: Paint): string {
  const [mark, color] = MARKS[severity];
  const line = `${paint(color, mark)} ${paint('bold', withoutControls(check))}: ${withoutControls(message)}`;
  return fix === undefined ? line : `${line}\n    ${paint('cyan', '→')} ${withoutControls(fix)}`;
}

function summaryOf(findings: readonly Finding[], paint: Paint): string {
  return SEVERITIES.map((severity) => ({ severity, count: countOf(severity, findings) }))
    .filter(({ severity, count }) => count > 0 || severity === 'problem')
    .map(({ severity, count }) => {
      const text = `${count} ${severity === 'ok' || severity === 'skipped' || count === 1 ? severity : `${severity}s`}`;
      return count > 0 ? paint(MARKS[severity][1], text) : text;
    })
    .join(', ');
}
