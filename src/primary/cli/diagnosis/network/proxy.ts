import { type Finding, ok, problem, skipped, warning } from '../finding.ts';
import type { ProxyFacts, Upgrade } from './probe.ts';

const SLOW_REPLY_MS = 2_000;
const TLS_REASON = /CERT|SIGNATURE|SELF_SIGNED|ALTNAME|TLS|SSL/;
const NGINX_UPGRADE =
  'nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';
const NGINX_TIMEOUT =
  'nginx: proxy_read_timeout 90s; HAProxy: timeout tunnel 1h (all lines: deploy/nginx.conf)';
const NGINX_BUFFERING = 'nginx: proxy_buffering off;';

/** Checks whether a WebSocket opens through the proxy. */
export function checkUpgrade({ upgrade }: Pick<ProxyFacts, 'upgrade'>): Finding {
  const check = 'proxy upgrade';
  switch (upgrade.kind) {
    case 'open':
      return ok(check, 'a WebSocket opens');
    case 'failed':
      return TLS_REASON.test(upgrade.reason)
        ? problem(
            check,
            `TLS fails: ${upgrade.reason}`,
            'Correct the certificate of the proxy and its chain.',
          )
        : problem(
            check,
            `no connection: ${upgrade.reason}`,
            'Check the URL and the firewall, and start the proxy.',
          );
    case 'response':
      return checkResponse(check, upgrade);
    default:
      return upgrade satisfies never;
  }
}

function checkResponse(check: string, { status, code }: Upgrade & { kind: 'response' }): Finding {
  if (code === 'upgrade_required') {
    return problem(check, 'the proxy removes the Upgrade header, so no WebSocket opens', NGINX_UPGRADE);
  }
  if (code !== undefined) {
    const message = `the connect reached gusher, which rejected it: ${code}`;
    return warning(check, message, 'Name an app and a credential: --app, and --auth or --token.');
  }
  const message = `the proxy responded with ${status} itself`;
  if (status >= 502 && status <= 504) {
    return problem(check, message, 'Check that the address of gusher in the proxy is that of GUSHER_LISTEN.');
  }
  return problem(check, message, 'Pass /ws and /app to gusher, with the path unchanged.');
}

/** Checks whether messages arrive at once. */
export function checkBuffering({ upgrade, replyMs }: Pick<ProxyFacts, 'upgrade' | 'replyMs'>): Finding {
  const check = 'proxy buffering';
  if (upgrade.kind !== 'open') return skipped(check, 'no WebSocket opened');
  if (replyMs === undefined) return problem(check, 'no reply to a message arrived', NGINX_BUFFERING);
  const message = `a reply took ${replyMs} ms`;
  return replyMs < SLOW_REPLY_MS ? ok(check, message) : warning(check, message, NGINX_BUFFERING);
}

/** Checks whether a silent connection stays open until the heartbeat of gusher. */
export function checkSilence({ upgrade, silence }: Pick<ProxyFacts, 'upgrade' | 'silence'>): Finding {
  const check = 'proxy timeout';
  if (upgrade.kind !== 'open') return skipped(check, 'no WebSocket opened');
  if (silence === undefined) return skipped(check, 'not tested (--silence 0)');
  const { ms, end, closeCode } = silence;
  const time = `${(ms / 1_000).toFixed(1)} s of silence`;
  if (end === 'ping') return ok(check, `the heartbeat of gusher arrived after ${time}`);
  if (end === 'closed') {
    const message = `the connection was closed (${closeCode}) after ${time}, before the heartbeat`;
    return problem(check, message, NGINX_TIMEOUT);
  }
  return warning(
    check,
    `no heartbeat arrived in ${time}`,
    'Set --silence to more than GUSHER_HEARTBEAT_INTERVAL_MS; check that the proxy passes ping frames.',
  );
}
