import { type Finding, ok, problem, skipped, warning } from '../finding.ts';
import type { ProxyFacts } from './probe.ts';

const DAY_MS = 86_400_000;
/** Certificates are usually renewed 30 days before they end. */
const SOON_DAYS = 21;

/** Checks the certificate. One that is not valid has already failed the handshake. */
export function checkCertificate(
  { isTls, isLocal, certificateEnd }: Pick<ProxyFacts, 'isTls' | 'isLocal' | 'certificateEnd'>,
  now: number,
): Finding {
  const check = 'certificate';
  if (!isTls && isLocal) return skipped(check, 'this machine needs none');
  if (!isTls) {
    return warning(
      check,
      'ws:// sends credentials and messages in plain text',
      'Use wss:// outside of this machine.',
    );
  }
  if (certificateEnd === undefined) return skipped(check, 'no WebSocket opened');
  const days = Math.floor((certificateEnd - now) / DAY_MS);
  const message = `valid for ${days} more days`;
  if (days < 0) return problem(check, 'it has expired', 'Renew it.');
  if (days < SOON_DAYS) return warning(check, message, 'Renew it, and check the automatic renewal.');
  return ok(check, message);
}
