import { REFUSALS, type Refusal } from '../../src/shared/errors/catalogue.ts';

const CATALOGUE: readonly Refusal[] = Object.values(REFUSALS);

/** The catalogue of refusals in `PROTOCOL.md`. */
export function refusalsTable(): string {
  const rows = CATALOGUE.map(({ code, http, close, comeBack, sentence }) => [
    `\`${code}\``,
    http === undefined ? '' : String(http),
    close === undefined ? '' : String(close),
    comeBack,
    sentence,
  ]);
  return table(['code', 'HTTP', 'close', 'come back', 'sentence'], rows);
}

/** The codes by which gusher itself closes a connection, in `PROTOCOL.md`. */
export function closeCodesTable(): string {
  const rows = CATALOGUE.filter(({ close }) => close !== undefined)
    .sort((one, other) => (one.close ?? 0) - (other.close ?? 0))
    .map(({ code, close, comeBack, sentence }) => [String(close), `\`${code}\``, comeBack, sentence]);
  return table(['close code', 'refusal', 'come back', 'reason'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`.replace(/ {2,}/g, ' ');
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
