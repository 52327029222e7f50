const CODES = { bold: 1, red: 31, green: 32, yellow: 33, cyan: 36, gray: 90 } as const;

export type Color = keyof typeof CODES;

/** Adds a color to a text, or returns it unchanged where colors are off. */
export type Paint = (color: Color, text: string) => string;

/** The part of a `tty.WriteStream` that decides about colors. */
export interface ColorStream {
  readonly isTTY?: boolean;
  readonly hasColors?: () => boolean;
}

/**
 * Returns the painter for a stream: colors only on a terminal that has them. Node.js reads `NO_COLOR`,
 * `NODE_DISABLE_COLORS`, `FORCE_COLOR` and `TERM`.
 */
export function painterFor(stream: ColorStream): Paint {
  return stream.isTTY === true && stream.hasColors?.() === true ? paintColor : paintNothing;
}

function paintColor(color: Color, text: string): string {
  return `\u001b[${CODES[color]}m${text}\u001b[0m`;
}

export function paintNothing(_color: Color, text: string): string {
  return text;
}

/** Replaces control characters and line separators. Attack: text of a client, which a terminal would execute. */
export function withoutControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, '\ufffd');
}
