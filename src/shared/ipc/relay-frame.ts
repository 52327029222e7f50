import { parseJson } from '../json/parse-json.ts';
import { CONTROL_TOPIC } from '../model/control-message.ts';
import type { Publication } from '../model/publication.ts';
import { MalformedFrameError, relayFrame, relayJsonAt } from './pipe-frame.ts';

/** One publication and the topic that carries it. */
export interface RelayedPublication {
  readonly kind: 'publication';
  readonly topic: string;
  readonly publication: Publication;
}

/** One control message, as the text that brokers carry. */
export interface RelayedControl {
  readonly kind: 'control';
  readonly topic: typeof CONTROL_TOPIC;
  readonly control: string;
}

export type RelayItem = RelayedPublication | RelayedControl;

/** Encodes an item for the pipe. Throws a `MalformedFrameError` if it is too long. */
export function encodeRelayFrame(item: RelayItem): string {
  return relayFrame(item.topic, JSON.stringify(item.kind === 'control' ? item.control : item.publication));
}

/** Decodes a frame of `encodeRelayFrame`. Throws a `MalformedFrameError` for other bytes. */
export function decodeRelayFrame(topic: string, frame: Buffer): RelayItem {
  const value = parseJson(frame.toString('utf8', relayJsonAt(frame)));
  if (topic === CONTROL_TOPIC && typeof value === 'string') return { kind: 'control', topic, control: value };
  if (topic !== CONTROL_TOPIC && isPublication(value))
    return { kind: 'publication', topic, publication: value };
  throw new MalformedFrameError('invalid relay frame');
}

/** The publishing worker has checked the names. */
function isPublication(value: unknown): value is Publication {
  if (typeof value !== 'object' || value === null) return false;
  const { channel, event, data } = value as Record<string, unknown>;
  return typeof channel === 'string' && typeof event === 'string' && typeof data === 'string';
}
