import { expect } from 'chai';
import { type RunningGusher, startGusher } from './gusher.ts';
import { AppsFile } from './pusher-app.ts';
import { keyFolder } from './tokens.ts';
import { WebhookServer } from './webhook-server.ts';

/** A gusher to which tests send hostile texts, with the auth webhook and the keys of its app. */
export interface HostileTarget {
  readonly gusher: RunningGusher;
  readonly webhook: WebhookServer;
  readonly keys: ReturnType<typeof keyFolder>;
  /** Stops everything. Fails if gusher logged an error. */
  readonly stop: () => Promise<void>;
}

/** Starts one worker, whose app has the fields that `app` returns for the URL of its webhook. */
export async function startHostileTarget(
  app: (webhookUrl: string) => object,
  env: Readonly<Record<string, string>> = {},
): Promise<HostileTarget> {
  const webhook = await WebhookServer.start();
  const keys = keyFolder();
  const apps = new AppsFile({ url: webhook.url, channels: ['*'], ...app(webhook.url) });
  const gusher = await startGusher({
    workers: 1,
    env: {
      GUSHER_APPS_FILE: apps.path,
      GUSHER_JWT_PUBLIC_KEY_FILE: keys.publicPath,
      GUSHER_PROTOCOL_ERRORS_PER_MINUTE: '1000000',
      ...env,
    },
  });
  const stop = async (): Promise<void> => {
    expect(await gusher.stop()).to.equal(0);
    expect(gusher.logs.filter(({ level }) => level === 'error' || level === 'fatal')).to.deep.equal([]);
    apps.remove();
    keys.remove();
    webhook.stop();
  };
  return { gusher, webhook, keys, stop };
}
