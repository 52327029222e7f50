import { CONTROL_TOPIC } from '../model/control-message.ts';
import type { Publication } from '../model/publication.ts';

/** One publication and the topic that carries it. */
export interface RelayedPublication {
  readonly topic: string;
  readonly publication: Publication;
}

/** One control message, as the text that brokers carry. */
export interface RelayedControl {
  readonly topic: typeof CONTROL_TOPIC;
  readonly control: string;
}

export type RelayItem = RelayedPublication | RelayedControl;

/** The line by which an item crosses between processes: a topic, which has no control characters, a tab and JSON. */
export function relayLine(item: RelayItem): string {
  return `${item.topic}\t${JSON.stringify('control' in item ? item.control : item.publication)}\n`;
}

/** Reads what `relayLine` made. */
export function readRelayLine(topic: string, line: Buffer): RelayItem {
  const value: unknown = JSON.parse(line.toString('utf8', line.indexOf('\t') + 1));
  if (topic === CONTROL_TOPIC) return { topic, control: value as string };
  return { topic, publication: value as Publication };
}
