/**
 * One message on its way to the subscribers of a channel. Plain data: it crosses process borders as it is.
 */
export interface Publication {
  readonly channel: string;
  readonly event: string;
  /** The JSON text of `data`, byte for byte as the publisher wrote it. */
  readonly data: string;
}

/** The envelope `{"channel","event","data"}`, in that order: what native clients get and what Redis carries. */
export function envelopeOf({ channel, event, data }: Publication): string {
  return `{"channel":${JSON.stringify(channel)},"event":${JSON.stringify(event)},"data":${data}}`;
}
