import { ERRORS, type ErrorEntry } from '../../src/shared/errors/catalogue.ts';
import { PUSHER_CLOSE_CODES, PUSHER_ERROR_CODES } from '../../src/worker/protocols/pusher/close-codes.ts';

const CATALOGUE: readonly ErrorEntry[] = Object.values(ERRORS);

/** The table of all errors in `PROTOCOL.md`. */
export function errorsTable(): string {
  const rows = CATALOGUE.map(({ code, http, close, reconnect, message }) => [
    `\`${code}\``,
    http === undefined ? '' : String(http),
    close === undefined ? '' : String(close),
    reconnect,
    message,
  ]);
  return table(['code', 'HTTP', 'close', 'reconnect', 'message'], rows);
}

/** The table of close codes that gusher sends, in `PROTOCOL.md`. */
export function closeCodesTable(): string {
  const pusher: Partial<Record<string, number>> = PUSHER_CLOSE_CODES;
  const rows = CATALOGUE.map((error) => ({ ...error, close: error.close ?? pusher[error.code] ?? 0 }))
    .filter(({ close }) => close > 0)
    .sort((one, other) => one.close - other.close)
    .map(({ code, close, reconnect, message }) => [String(close), `\`${code}\``, reconnect, message]);
  return table(['close code', 'error', 'reconnect', 'reason'], rows);
}

/** The table of `pusher:error` codes on a connection that stays open, in `PROTOCOL.md`. */
export function errorCodesTable(): string {
  const rows = Object.entries(PUSHER_ERROR_CODES).map(([code, number]) => [
    String(number),
    `\`${code}\``,
    ERRORS[code as keyof typeof PUSHER_ERROR_CODES].message,
  ]);
  return table(['code', 'error', 'message'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`.replace(/ {2,}/g, ' ');
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
