/** Names of fields whose values are secret. */
const NAME = String.raw`[\w-]{0,40}(?:token|secret|passw(?:or)?d|authorization|api[_-]?key|credential|cookie)[\w-]{0,40}`;
/** A string in JSON, up to its end or that of the text. */
const STRING = String.raw`"(?:[^"\\]|\\.)*`;
/** The same in JSON that is itself a string: each quote has a backslash, and each backslash another one. */
const INNER_STRING = String.raw`\\"(?:[^"\\]|\\\\(?:\\.|[^"\\])|\\[^"\\])*`;
/**
 * A field with a secret name and its value, in JSON or in JSON inside a string. Attack: text that makes the search slow;
 * names are bounded, and a value is matched in one way only.
 */
const SECRET_FIELD = new RegExp(
  String.raw`((\\?)"${NAME}\2"[ \t]{0,4}:[ \t]{0,4})(?:(${STRING}|${INNER_STRING})|[\w.+-]{1,64})`,
  'gi',
);
/** UTF-8 has at most this many bytes per UTF-16 unit. */
const BYTES_PER_UNIT = 3;

/** Cuts the JSON text of a publication to `maxBytes`, and hides values of fields such as `token` and `password`. */
export function shownData(data: string, maxBytes: number): string {
  const part = data.slice(0, maxBytes * 2);
  const shown = part.replace(SECRET_FIELD, hideValue);
  const isWhole = part.length === data.length;
  if (isWhole && shown.length * BYTES_PER_UNIT <= maxBytes) return shown;
  const bytes = Buffer.from(shown);
  if (isWhole && bytes.length <= maxBytes) return shown;
  // The cut may be within a character.
  return `${bytes
    .subarray(0, maxBytes)
    .toString('utf8')
    .replace(/\ufffd$/, '')}…`;
}

/** The quote at the end of a string is not part of the match. */
function hideValue(_field: string, name: string, backslash: string, text: string | undefined): string {
  return text === undefined ? `${name}***` : `${name}${backslash}"***`;
}
