import { type Color, type Paint, paintNothing, withoutControls } from './terminal.ts';

/** Fields of every line, which are not listed as facts. */
const COMMON: ReadonlySet<string> = new Set(['level', 'time', 'msg', 'event', 'process', 'pid', 'err']);
const LEVEL_WIDTH = 5;
const LEVEL_COLORS: Readonly<Record<string, Color>> = {
  debug: 'gray',
  info: 'green',
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
};
/** The time of day in `2026-01-31T12:34:56.789Z`. */
const CLOCK = [11, 23] as const;

/**
 * Formats a JSON log line for a terminal: time, level, message, and facts as `name=value`. Attack: control characters in
 * input, which a terminal would execute. All are replaced, except line breaks of a stack. `paint` adds colors.
 */
export function textOfLogLine(line: string, paint: Paint = paintNothing): string {
  const facts = factsIn(line);
  if (facts === undefined) return line;
  const { level, time, msg, process, err } = facts;
  const rest = Object.entries(facts).filter(([name, value]) => !COMMON.has(name) && value !== undefined);
  const name = withoutControls(String(level));
  const words = [
    paint('gray', withoutControls(String(time).slice(...CLOCK))),
    paint(LEVEL_COLORS[name] ?? 'bold', name.toUpperCase().padEnd(LEVEL_WIDTH)),
    ...(process === undefined || process === 'primary' ? [] : [withoutControls(`${process}:`)]),
    paint('bold', withoutControls(String(msg ?? ''))),
    ...rest.map(
      ([fact, value]) => `${paint('cyan', withoutControls(`${fact}=`))}${withoutControls(valueText(value))}`,
    ),
  ];
  return `${words.join(' ')}\n${errorText(err)}`;
}

function factsIn(line: string): Record<string, unknown> | undefined {
  try {
    const facts: unknown = JSON.parse(line);
    return typeof facts === 'object' && facts !== null ? { ...facts } : undefined;
  } catch {
    return undefined;
  }
}

/** Formats an address of a listener as an operator types it. */
function valueText(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value === 'object' && value !== null && 'port' in value) {
    const { host = '', port } = value as { host?: string; port: unknown };
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }
  return JSON.stringify(value);
}

function errorText(err: unknown): string {
  if (typeof err !== 'object' || err === null) return '';
  const { stack, message } = err as { stack?: unknown; message?: unknown };
  const lines = String(stack ?? message).split('\n');
  return lines.map((line) => `    ${withoutControls(line)}\n`).join('');
}
