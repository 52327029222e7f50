import type { ApiClient } from '../clients/api-client.ts';
import { type Finding, ok, problem, skipped } from './finding.ts';

/** Asks a gusher on this machine whether it is ready. */
export async function checkServer(api: ApiClient): Promise<Finding> {
  const check = 'gusher';
  try {
    const { status, body } = await api.get('/readyz');
    if (status === 200) return ok(check, `it runs here and is ready: ${body}`);
    return problem(
      check,
      `it runs here and is not ready: ${body}`,
      'Read its log: docs/logs.md explains each line.',
    );
  } catch (error) {
    return skipped(check, `it does not run here: ${(error as Error).message}`);
  }
}
