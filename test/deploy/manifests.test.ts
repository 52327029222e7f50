import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { resolveSettings } from '../../src/shared/config/resolve-settings.ts';
import { SETTINGS, type Settings } from '../../src/shared/config/settings.ts';
import { version } from '../../src/shared/version.ts';

const SHUTDOWN_S = SETTINGS.shutdownTimeoutMs.fallback / 1_000;
const PUBLIC_PORT = SETTINGS.listen.fallback.port;
const API_PORT = SETTINGS.apiListen.fallback.port;

// biome-ignore lint/suspicious/noExplicitAny: a manifest has many members, and a test reads those that it expects
type Manifest = any;

describe('deploy/kubernetes.yaml', () => {
  const documents = parseAllDocuments(readFileSync('deploy/kubernetes.yaml', 'utf8'));
  const manifests = documents.map((document) => document.toJS() as Manifest);
  const pod = find('Deployment', 'gusher').spec.template.spec;
  const [container] = pod.containers;

  it('is valid YAML with one object per document', () => {
    expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).to.deep.equal([]);
    for (const { apiVersion, kind, metadata } of manifests) {
      expect([apiVersion, kind, metadata.name].map((text) => typeof text)).to.deep.equal([
        'string',
        'string',
        'string',
      ]);
    }
  });

  it('starts gusher with valid settings and the ports that it declares', () => {
    const settings = settingsOf({
      ...find('Secret', 'gusher').stringData,
      ...Object.fromEntries(container.env.map((one: Manifest) => [one.name, one.value])),
    });
    const ports = Object.fromEntries(container.ports.map((one: Manifest) => [one.name, one.containerPort]));
    expect(ports).to.deep.equal({ clients: settings.listen.port, api: settings.apiListen.port });
    expect(ports).to.deep.equal({ clients: PUBLIC_PORT, api: API_PORT });
    expect(container.image).to.match(new RegExp(`:${version}$`));
  });

  it('gives a pod time for preStop and for the whole shutdown', () => {
    const [command, seconds] = container.lifecycle.preStop.exec.command;
    expect(command).to.equal('sleep');
    expect(pod.terminationGracePeriodSeconds).to.be.greaterThan(Number(seconds) + SHUTDOWN_S);
    // Otherwise the service still sends clients to the closed port.
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    expect(Number(seconds)).to.be.greaterThan(periodSeconds * failureThreshold);
  });

  it('checks readiness and liveness at paths without a token', () => {
    const { paths } = JSON.parse(readFileSync('docs/openapi.json', 'utf8')) as Manifest;
    const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'].map((name) => container[name].httpGet);
    for (const { path, port } of probes) {
      expect(paths[path].get.security).to.deep.equal([{}]);
      expect(port).to.equal('api');
    }
    expect(probes.map(({ path }) => path)).to.deep.equal(['/readyz', '/readyz', '/healthz']);
  });

  it('keeps one pod during updates and drains', () => {
    expect(find('PodDisruptionBudget', 'gusher').spec.maxUnavailable).to.equal(1);
    const { replicas, strategy } = find('Deployment', 'gusher').spec;
    expect(replicas).to.be.at.least(2);
    expect(strategy.rollingUpdate.maxUnavailable).to.equal(0);
  });

  it('selects the pods with each service, policy and budget', () => {
    const { labels } = find('Deployment', 'gusher').spec.template.metadata;
    const selectors = manifests.flatMap(
      ({ spec }) => spec?.selector?.matchLabels ?? spec?.podSelector?.matchLabels ?? spec?.selector ?? [],
    );
    expect(selectors).to.have.length(5);
    for (const selector of selectors) expect(selector).to.deep.equal(labels);
  });

  it('runs without rights, on a read-only root, with limits', () => {
    expect(pod.securityContext).to.include({ runAsNonRoot: true, runAsUser: 1_000 });
    expect(container.securityContext).to.deep.equal({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.resources).to.have.keys('requests', 'limits');
    expect(container.volumeMounts[0].mountPath).to.equal(workingFolder());
  });

  function find(kind: string, name: string): Manifest {
    return manifests.find((one) => one.kind === kind && one.metadata.name === name);
  }
});

describe('compose.yaml', () => {
  const { services, volumes } = parse(readFileSync('compose.yaml', 'utf8')) as Manifest;
  const { gusher, redis } = services;

  it('starts gusher with valid settings, the API on loopback of the host only', () => {
    const environment = { ...gusher.environment, GUSHER_API_TOKEN: 'a-token-for-tests' };
    const settings = settingsOf(environment);
    expect(gusher.ports).to.deep.equal([
      `${settings.listen.port}:${PUBLIC_PORT}`,
      `127.0.0.1:${settings.apiListen.port}:${API_PORT}`,
    ]);
    expect(gusher.environment.GUSHER_API_TOKEN, 'no default token').to.match(/^\$\{GUSHER_API_TOKEN:\?/);
    expect(settings.redisUrl).to.equal('redis://redis:6379');
  });

  it('gives gusher more time to stop than gusher takes', () => {
    expect(Number.parseInt(gusher.stop_grace_period, 10)).to.be.greaterThan(SHUTDOWN_S);
  });

  it('runs gusher without rights on a read-only root', () => {
    expect(gusher).to.include({ read_only: true });
    expect(gusher.cap_drop).to.deep.equal(['ALL']);
    expect(gusher.ulimits.nofile).to.be.at.least(1_048_576);
  });

  it('keeps the apps in Redis, whose port is not published', () => {
    expect(redis.command).to.include('--appendonly');
    expect(redis.volumes).to.deep.equal(['redis:/data']);
    expect(volumes).to.have.keys('redis');
    expect(redis).to.not.have.property('ports');
  });
});

/** Returns the settings of an environment; fails for a variable that gusher does not know. */
function settingsOf(environment: Record<string, string>): Settings {
  const known = Object.values(SETTINGS).map(({ env }) => env as string);
  expect(Object.keys(environment).filter((name) => !known.includes(name))).to.deep.equal([]);
  const resolved = resolveSettings({ environment });
  if ('errors' in resolved) throw new Error(resolved.errors.join('\n'));
  return resolved.settings;
}

function workingFolder(): string | undefined {
  return /^WORKDIR (\/var\S+)$/m.exec(readFileSync('Dockerfile', 'utf8'))?.[1];
}
