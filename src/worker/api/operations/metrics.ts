import type { MetricsFormat } from '../../../shared/metrics/gauges.ts';
import type { MetricsSource } from '../../metrics/metrics-client.ts';
import type { Handler } from '../http/exchange.ts';

const CONTENT_TYPES: Readonly<Record<MetricsFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/**
 * `GET /metrics`: returns the metrics of this host, summed over its processes, in the OpenMetrics format if `Accept` names
 * it, otherwise in the text format of Prometheus.
 */
export function showMetrics(metrics: MetricsSource): Handler {
  return async ({ request, response }) => {
    const format = acceptsOpenMetrics(request.headers.accept) ? 'openmetrics' : 'text';
    const text = await metrics.text(format);
    if (response.destroyed) return;
    response.writeHead(200, {
      'Content-Type': CONTENT_TYPES[format],
      'Content-Length': Buffer.byteLength(text),
      'Cache-Control': 'no-store',
      Vary: 'Accept',
    });
    response.end(text);
  };
}

/** RFC 9110 §12.5.1: a weight of 0 means "not acceptable". Versions other than 1 do not exist. */
function acceptsOpenMetrics(accept = ''): boolean {
  return accept.split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return type === 'application/openmetrics-text' && !parameters.some((part) => /^q=0(\.0*)?$/.test(part));
  });
}
