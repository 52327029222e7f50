const OFFSET_BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/**
 * Hashes UTF-16 code units with FNV-1a (32 bits, signed); `hash` continues an earlier text. Fast and even, but not
 * safe against chosen texts.
 */
export function fnv1a(text: string, hash = OFFSET_BASIS): number {
  let next = hash;
  for (let at = 0; at < text.length; at += 1) next = Math.imul(next ^ text.charCodeAt(at), PRIME);
  return next;
}
