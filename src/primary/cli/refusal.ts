import * as v from 'valibot';

const refusal = v.object({ error: v.object({ message: v.string() }) });

/** The sentence in the body of a refusal. */
export function sentenceOf(body: string): string {
  try {
    return v.parse(refusal, JSON.parse(body)).error.message;
  } catch {
    // Somebody else answered at that address.
    return 'the answer is not one of gusher';
  }
}
