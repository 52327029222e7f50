import { envelopeOf } from '../../src/shared/model/publication.ts';
import { Grants } from '../../src/worker/auth/grants.ts';
import { Connection, type Transport } from '../../src/worker/connection/connection.ts';
import type { WireProtocol } from '../../src/worker/connection/wire-protocol.ts';
import type { Frames } from '../../src/worker/websocket/frame.ts';

/** A transport that records every call, for tests without sockets. */
export class RecordingTransport implements Transport {
  readonly writes: string[][] = [];
  readonly frames: Frames[] = [];
  unsentBytes = 0;
  receivedBytes = 0;
  sentBytes = 0;
  paused = false;
  closedWith: { code: number; reason: string } | undefined;
  terminated = false;

  write(frames: Frames): boolean {
    this.frames.push(frames);
    this.writes.push(frames.messages.map(String));
    return true;
  }

  close(code: number, reason: string): void {
    this.closedWith = { code, reason };
  }

  terminate(): void {
    this.terminated = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

/** A protocol that ignores every message. */
export const silentProtocol: WireProtocol = {
  name: 'gusher',
  receive: () => undefined,
  encodeFailure: () => 'internal',
  encode: envelopeOf,
  encodeDirect: ({ data }) => data,
  closeFrameFor: ({ close = 4000, message }) => ({ code: close, reason: message }),
};

let count = 0;

export function makeConnection(
  protocol: WireProtocol = silentProtocol,
  appKey = 'demo',
  userId = '',
): { connection: Connection; transport: RecordingTransport } {
  const transport = new RecordingTransport();
  count += 1;
  const id = String(count).padStart(20, '0');
  const connection = new Connection({ id, appKey, userId }, new Grants(['*']), protocol, transport);
  return { connection, transport };
}

/** Waits until the current event-loop tick has ended, and the flush that it scheduled. */
export async function turnEnds(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}
