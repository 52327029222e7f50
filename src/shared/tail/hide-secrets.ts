/** Names of fields and query parameters whose values are secret. */
const WITHIN = 'token|secret|passw(?:or)?d|authorization|api[_-]?key|credential|cookie';
const WHOLE = 'auth|jwt|signature';
const NAME = String.raw`(?:[\w-]{0,40}(?:${WITHIN})[\w-]{0,40}|(?:[\w-]{0,40}[_-])?(?:${WHOLE}))`;
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
/** A query parameter in a URL. */
const SECRET_PARAMETER = new RegExp(String.raw`([?&]${NAME}=)[^&#"'\\\s]+`, 'gi');
/** RFC 6750 §2.1. */
const BEARER_TOKEN = /\b(Bearer[ \t]{1,4})[\w.~+/=-]{8,}/gi;
/** UTF-8 has at most this many bytes per UTF-16 unit. */
const BYTES_PER_UNIT = 3;

/** Cuts the JSON text of a publication to `maxBytes`, and hides secrets in fields, URLs and texts. */
export function shownData(data: string, maxBytes: number): string {
  const part = data.slice(0, maxBytes * 2);
  const shown = part
    .replace(SECRET_FIELD, hideValue)
    .replace(SECRET_PARAMETER, '$1***')
    .replace(BEARER_TOKEN, '$1***');
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
