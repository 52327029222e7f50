/** Texts that are no valid name, with the reason. The tests use the same list for every input of the program. */
export const HOSTILE_NAMES: readonly [why: string, text: string][] = [
  ['a line feed', 'a\nb'],
  ['a forged frame after a line feed', 'x\n{bad\nz'],
  ['a carriage return', 'a\rb'],
  ['a tab', 'a\tb'],
  ['NUL', 'a\u0000'],
  ['an escape of a terminal', 'a\u001b[2J'],
  ['DEL', 'a\u007f'],
  ['the first C1 control', '\u0080a'],
  ['NEL', 'a\u0085b'],
  ['the last C1 control', 'a\u009f'],
  ['a lone high surrogate', 'x\ud800'],
  ['another lone high surrogate', 'x\udbff'],
  ['a lone low surrogate', '\udc00x'],
  ['surrogates in the wrong order', 'x\udc00\ud800y'],
  ['more characters than any name has', 'x'.repeat(257)],
  ['more characters, of three bytes each', '日'.repeat(257)],
];

/** Texts that look hostile but are valid names of channels, events and users. */
export const ODD_NAMES: readonly string[] = [
  '@',
  'a@b@c',
  '{',
  '{"type":"fatal"}',
  '\\u0000',
  'a\u2028b\u2029c',
  '"',
  ' ',
  '\ufeff',
  'a\u202eb\u2066c',
  '\u200b',
  '😀',
  'F\u{10ffff}',
  '日'.repeat(256),
];

/** Valid names that JavaScript objects and their libraries treat specially. */
export const SPECIAL_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
];

export function hasLoneSurrogate(text: string): boolean {
  return /\p{Cs}/u.test(text);
}
