import type { BrokerGauges, ProcessGauges } from '../../shared/metrics/gauges.ts';
import { UNKNOWN } from '../../shared/metrics/gauges.ts';
import { ProcessGaugeReader } from '../../shared/metrics/process-gauges.ts';
import { forEachInSlices } from '../../shared/scheduling/time-slices.ts';
import type { Broker } from '../broker/broker.ts';
import type { Connection } from '../connection/connection.ts';

const MS_PER_SECOND = 1_000;

/** Reads the gauges of this worker. */
export class WorkerGaugeReader {
  readonly #process = new ProcessGaugeReader();
  readonly #broker: Pick<Broker, 'status' | 'health'>;
  readonly #connections: () => Iterable<Connection>;

  constructor(options: {
    broker: Pick<Broker, 'status' | 'health'>;
    connections: () => Iterable<Connection>;
  }) {
    this.#broker = options.broker;
    this.#connections = options.connections;
  }

  async read(): Promise<ProcessGauges & BrokerGauges> {
    const { status, health } = this.#broker;
    const gauges = await this.#process.read();
    return {
      ...gauges,
      brokerUp: Number(status === 'connected' && health.reason === undefined),
      brokerRoundTrip: health.roundTripMs === undefined ? UNKNOWN : health.roundTripMs / MS_PER_SECOND,
      sendBufferBytes: await this.#sendBufferBytes(),
    };
  }

  close(): void {
    this.#process.close();
  }

  async #sendBufferBytes(): Promise<number> {
    let bytes = 0;
    await forEachInSlices(this.#connections(), ({ transport }) => {
      bytes += transport.unsentBytes;
    });
    return bytes;
  }
}
