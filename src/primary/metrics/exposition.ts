import { collectDefaultMetrics, Registry, type RegistryContentType } from 'prom-client';
import type { MetricsFormat } from '../../shared/metrics/gauges.ts';
import type { HostState, Metric } from './metric.ts';

const COUNTER_SUFFIX = '_total';

/** The data of a metric as `prom-client` passes them to its formatter. */
interface PromData {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  readonly values: readonly object[];
}

/** Formats metrics, and adds the default metrics of Node.js for this process. The only file that uses `prom-client`. */
export class Exposition {
  readonly #metrics: readonly Metric[];
  readonly #defaults = new Registry();

  constructor(metrics: readonly Metric[]) {
    this.#metrics = metrics;
    collectDefaultMetrics({ register: this.#defaults });
  }

  /** Returns the text of all metrics in a format. */
  async format(format: MetricsFormat, host: HostState): Promise<string> {
    const registry = new Registry<RegistryContentType>();
    if (format === 'openmetrics') registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const defaults = (await this.#defaults.getMetricsAsJSON()) as unknown as PromData[];
    for (const data of defaults) register(registry, withTotal(data));
    for (const metric of this.#metrics) register(registry, dataOf(metric, host));
    return registry.metrics();
  }
}

/** Registers data that are already read. The registry calls only `get`, and cuts `_total` off the name for OpenMetrics. */
function register(registry: Registry<RegistryContentType>, data: PromData): void {
  const metric = { ...data, get: () => Promise.resolve({ ...data, name: metric.name }) };
  (registry as { registerMetric(metric: unknown): void }).registerMetric(metric);
}

/** OpenMetrics requires the suffix of every counter, and one of the default metrics lacks it. */
function withTotal(data: PromData): PromData {
  const isCounter = data.type === 'counter';
  return isCounter && !data.name.endsWith(COUNTER_SUFFIX)
    ? { ...data, name: data.name + COUNTER_SUFFIX }
    : data;
}

function dataOf({ name, help, type, read }: Metric, host: HostState): PromData {
  const values = Array.from(read(host), ({ value, labels = {}, suffix }) => ({
    value,
    labels,
    ...(suffix !== undefined && { metricName: name + suffix }),
  }));
  return { name, help, type, values };
}
