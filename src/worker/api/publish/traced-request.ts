import type { Publication } from '../../../shared/model/publication.ts';
import type { PublishSpan } from '../../tracing/tracer.ts';

/** Ends the span of a request with its answer: this status, or the error. Rejects as `answering` does. */
export async function endSpan(span: PublishSpan, status: number, answering: Promise<void>): Promise<void> {
  try {
    await answering;
    span.end(status);
  } catch (error) {
    span.end(status, error);
    throw error;
  }
}

/** Makes a publication part of the trace of its request. */
export function withTraceOf(publication: Publication, span: PublishSpan | undefined): Publication {
  const trace = span?.nextTrace();
  return trace === undefined ? publication : { ...publication, trace };
}
