import { expect } from 'chai';
import type { Finding } from '../../../../src/primary/cli/diagnosis/finding.ts';
import { checkCeiling, connectionLimits } from '../../../../src/primary/cli/diagnosis/host/ceiling.ts';
import { checkDescriptors } from '../../../../src/primary/cli/diagnosis/host/descriptors.ts';
import { type HostFacts, readHostFacts } from '../../../../src/primary/cli/diagnosis/host/facts.ts';
import {
  checkBacklog,
  checkConntrack,
  checkPorts,
  checkTcpMemory,
} from '../../../../src/primary/cli/diagnosis/host/kernel.ts';
import { checkCpus, checkMemory } from '../../../../src/primary/cli/diagnosis/host/resources.ts';
import { checkCertificate } from '../../../../src/primary/cli/diagnosis/network/certificate.ts';
import { checkClock } from '../../../../src/primary/cli/diagnosis/network/clock.ts';
import { checkForwarding } from '../../../../src/primary/cli/diagnosis/network/forwarding.ts';
import type { Upgrade } from '../../../../src/primary/cli/diagnosis/network/probe.ts';
import {
  checkBuffering,
  checkSilence,
  checkUpgrade,
} from '../../../../src/primary/cli/diagnosis/network/proxy.ts';
import { checkAccess } from '../../../../src/primary/cli/diagnosis/redis/access.ts';
import { checkClients, checkOutputBuffer } from '../../../../src/primary/cli/diagnosis/redis/capacity.ts';
import type { RedisFacts } from '../../../../src/primary/cli/diagnosis/redis/facts.ts';
import { checkRedisServer } from '../../../../src/primary/cli/diagnosis/redis/server.ts';
import { checkStorage } from '../../../../src/primary/cli/diagnosis/redis/storage.ts';

const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;
const HOST: HostFacts = { cgroup: {}, cpus: 4 };
const GOOD: HostFacts = {
  ...HOST,
  openFiles: 1_048_576,
  fileMax: 10_000_000,
  memoryBytes: 8_192 * MIB,
  somaxconn: 4_096,
  ephemeralPorts: { first: 32_768, last: 60_999 },
  conntrack: { count: 10, max: 1_000_000 },
  tcpMaxBytes: 1_024 * MIB,
};

const severities = (findings: readonly Finding[]): string[] => findings.map(({ severity }) => severity);

describe('readHostFacts', () => {
  it('reads the files of the kernel', () => {
    const files: Record<string, string> = {
      '/proc/self/limits':
        'Limit  Soft\nMax open files            1024                 4096                 files\n',
      '/proc/meminfo': 'MemTotal:        2048 kB\nMemFree: 1 kB\n',
      '/proc/sys/fs/file-max': '9223372036854775807\n',
      '/proc/sys/net/core/somaxconn': '128\n',
      '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
      '/proc/sys/net/ipv4/tcp_mem': '10\t20\t30\n',
      '/proc/sys/net/netfilter/nf_conntrack_count': '7\n',
      '/proc/sys/net/netfilter/nf_conntrack_max': '100\n',
    };
    expect(readHostFacts((path) => files[path], 2)).to.deep.equal({
      openFiles: 1_024,
      fileMax: Number('9223372036854775807'),
      memoryBytes: 2 * MIB,
      cgroup: {},
      cpus: 2,
      somaxconn: 128,
      ephemeralPorts: { first: 32_768, last: 60_999 },
      conntrack: { count: 7, max: 100 },
      tcpMaxBytes: 30 * 4_096,
    });
  });

  it('omits facts that a system does not have, whose checks are skipped', () => {
    const facts = readHostFacts(() => undefined, 2);
    expect(facts).to.deep.equal({ cgroup: {}, cpus: 2 });
    const skipped = [checkDescriptors, checkBacklog, checkPorts, checkConntrack, checkTcpMemory].map(
      (check) => check(facts).severity,
    );
    expect(new Set(skipped)).to.deep.equal(new Set(['skipped']));
    expect(checkCeiling(connectionLimits(facts, 2)).severity).to.equal('ok');
  });
});

describe('The connection limits of a machine', () => {
  it('name the lowest limit and the line that raises it', () => {
    const bind = (facts: Partial<HostFacts>): string | undefined =>
      connectionLimits({ ...GOOD, ...facts }, 2)[0]?.name;
    expect(bind({ openFiles: 1_024 })).to.equal('open files of each worker');
    expect(bind({ cgroup: { memoryMaxBytes: 400 * MIB } })).to.equal('memory limit of the control group');
    expect(bind({ conntrack: { count: 1, max: 65_536 } })).to.equal('connections that the firewall tracks');
    expect(bind({ tcpMaxBytes: MIB })).to.equal('memory for TCP');
    expect(bind({ fileMax: 1_000 })).to.equal('open files of all processes');
    expect(
      bind({
        openFiles: 100_000_000,
        fileMax: 100_000_000,
        conntrack: { count: 0, max: 1e9 },
        tcpMaxBytes: 1e13,
      }),
    ).to.equal('memory of the machine');
  });

  it('are a warning if the lowest is low', () => {
    const [finding] = [checkCeiling(connectionLimits({ ...GOOD, openFiles: 1_024 }, 2))];
    expect(finding).to.deep.include({ severity: 'warning' });
    expect(finding?.message).to.contain('1,920');
    expect(finding?.fix).to.contain('LimitNOFILE');
    expect(checkCeiling(connectionLimits(GOOD, 2)).severity).to.equal('ok');
  });

  it('are never negative', () => {
    const limits = connectionLimits({ ...GOOD, memoryBytes: MIB, openFiles: 10 }, 2);
    expect(limits.every(({ connections }) => connections >= 0)).to.equal(true);
  });
});

describe('Checks of the machine', () => {
  it('cover open files', () => {
    expect(checkDescriptors(GOOD).severity).to.equal('ok');
    expect(checkDescriptors({ ...GOOD, openFiles: 2_000 }).severity).to.equal('warning');
    expect(checkDescriptors({ ...GOOD, openFiles: 256 }).severity).to.equal('problem');
    expect(checkDescriptors({ ...GOOD, fileMax: 1_000 }).fix).to.contain('fs.file-max');
  });

  it('cover the kernel', () => {
    expect(checkBacklog({ ...GOOD, somaxconn: 128 }).fix).to.equal('sysctl net.core.somaxconn=4096');
    expect(checkPorts({ ...GOOD, ephemeralPorts: { first: 1, last: 100 } }).severity).to.equal('warning');
    expect(checkConntrack({ ...GOOD, conntrack: { count: 90, max: 100 } }).severity).to.equal('warning');
    expect(checkTcpMemory({ ...GOOD, tcpMaxBytes: MIB }).severity).to.equal('warning');
    for (const check of [checkBacklog, checkPorts, checkConntrack, checkTcpMemory]) {
      expect(check(GOOD).severity).to.equal('ok');
    }
  });

  it('cover CPUs and memory against the workers', () => {
    expect(checkCpus(GOOD, 4).severity).to.equal('ok');
    expect(checkCpus({ ...GOOD, cgroup: { cpus: 1.5 } }, 4).fix).to.contain('GUSHER_WORKERS=1');
    expect(checkMemory(GOOD, 4).severity).to.equal('ok');
    expect(checkMemory({ ...GOOD, cgroup: { memoryMaxBytes: 128 * MIB } }, 4).severity).to.equal('problem');
    expect(checkMemory(HOST, 4).severity).to.equal('skipped');
  });
});

describe('Checks of Redis', () => {
  const redis = (info: Record<string, string>, more: Partial<RedisFacts> = {}): RedisFacts => ({
    info: { redis_version: '7.2.4', role: 'master', maxclients: '10000', connected_clients: '5', ...info },
    config: { save: '3600 1', 'client-output-buffer-limit': 'normal 0 0 0 pubsub 33554432 8388608 60' },
    rejected: [],
    skewMs: 0,
    ...more,
  });
  const without = redis({}, { info: {}, config: undefined });

  it('cover version, role and mode', () => {
    expect(severities(checkRedisServer(redis({})))).to.deep.equal(['ok', 'ok']);
    expect(severities(checkRedisServer(redis({ role: 'slave' })))).to.include('problem');
    expect(severities(checkRedisServer(redis({ cluster_enabled: '1' })))).to.include('problem');
    expect(severities(checkRedisServer(redis({ loading: '1' })))).to.include('warning');
    expect(severities(checkRedisServer(redis({ redis_version: '5.0.1' })))[0]).to.equal('warning');
    expect(severities(checkRedisServer(redis({ redis_version: '3.2.1' })))[0]).to.equal('problem');
    expect(severities(checkRedisServer(without))).to.deep.equal(['skipped']);
  });

  it('cover room for clients and the output buffer', () => {
    expect(checkClients(redis({}), 2).severity).to.equal('ok');
    expect(checkClients(redis({ maxclients: '12' }), 2).severity).to.equal('problem');
    expect(checkClients(without, 2).severity).to.equal('skipped');
    const buffer = (pubsub: string) =>
      checkOutputBuffer(redis({}, { config: { 'client-output-buffer-limit': `pubsub ${pubsub}` } })).severity;
    expect(buffer('33554432 8388608 60')).to.equal('ok');
    expect(buffer('1048576 8388608 60')).to.equal('warning');
    expect(buffer('0 0 0')).to.equal('warning');
    expect(checkOutputBuffer(without).severity).to.equal('skipped');
  });

  it('cover eviction, memory and persistence', () => {
    expect(severities(checkStorage(redis({})))).to.deep.equal(['ok', 'ok', 'ok']);
    const full = { maxmemory: '100', used_memory: '95', maxmemory_policy: 'allkeys-lru' };
    expect(severities(checkStorage(redis(full)))).to.deep.equal(['problem', 'warning', 'ok']);
    expect(severities(checkStorage(redis({ maxmemory: '100', used_memory: '101' })))[1]).to.equal('problem');
    expect(severities(checkStorage(redis({}, { config: { save: '' } })))[2]).to.equal('warning');
    expect(severities(checkStorage(redis({ aof_enabled: '1' }, { config: { save: '' } })))[2]).to.equal('ok');
    expect(severities(checkStorage(redis({ rdb_last_bgsave_status: 'err' })))[2]).to.equal('problem');
    expect(severities(checkStorage(without))).to.deep.equal(['skipped']);
  });

  it('cover rejected commands, and name the rule of the ACL', () => {
    const rejected = (reply: string, isOptional = false) =>
      redis(
        {},
        { rejected: [{ command: 'SUBSCRIBE', name: 'gusher:control', reply, purpose: 'x', isOptional }] },
      );
    expect(severities(checkAccess(redis({})))).to.deep.equal(['ok']);
    const [forbidden] = checkAccess(rejected('NOPERM no access'));
    expect(forbidden?.severity).to.equal('problem');
    expect(forbidden?.fix).to.contain('+subscribe &gusher:control');
    expect(severities(checkAccess(rejected('NOPERM', true)))).to.deep.equal(['warning']);
    const replica = { ...rejected('READONLY You can not write'), info: { role: 'slave' } };
    expect(severities(checkAccess(replica))).to.deep.equal(['skipped']);
    expect(checkAccess(rejected('OOM command not allowed'))[0]?.fix).to.contain('maxmemory');
  });
});

describe('Checks of a proxy', () => {
  const open: Upgrade = { kind: 'open' };
  const response = (status: number, code?: string): Upgrade => ({ kind: 'response', status, code });

  it('cover the upgrade', () => {
    expect(checkUpgrade({ upgrade: open }).severity).to.equal('ok');
    expect(checkUpgrade({ upgrade: response(426, 'upgrade_required') }).fix).to.contain('$http_upgrade');
    expect(checkUpgrade({ upgrade: response(401, 'unknown_app') }).severity).to.equal('warning');
    expect(checkUpgrade({ upgrade: response(502) }).fix).to.contain('GUSHER_LISTEN');
    expect(checkUpgrade({ upgrade: response(404) }).severity).to.equal('problem');
    const failed = (reason: string) => checkUpgrade({ upgrade: { kind: 'failed', reason } });
    expect(failed('CERT_HAS_EXPIRED').fix).to.contain('certificate');
    expect(failed('ECONNREFUSED').fix).to.contain('firewall');
  });

  it('cover buffering and the timeout', () => {
    expect(checkBuffering({ upgrade: open, replyMs: 3 }).severity).to.equal('ok');
    expect(checkBuffering({ upgrade: open, replyMs: undefined }).severity).to.equal('problem');
    expect(checkBuffering({ upgrade: open, replyMs: 5_000 }).severity).to.equal('warning');
    const silence = (end: 'ping' | 'time' | 'closed') => ({ upgrade: open, silence: { ms: 20_000, end } });
    expect(checkSilence(silence('ping')).severity).to.equal('ok');
    expect(checkSilence(silence('closed')).fix).to.contain('proxy_read_timeout');
    expect(checkSilence(silence('time')).severity).to.equal('warning');
    expect(checkSilence({ upgrade: open, silence: undefined }).severity).to.equal('skipped');
  });

  it('cover the forwarded headers', () => {
    const arrived = { address: '::ffff:10.0.0.1', hasClient: true, hasScheme: true };
    expect(severities(checkForwarding(arrived, '10.0.0.0/8'))).to.deep.equal(['ok']);
    expect(checkForwarding(arrived, '')[0]?.fix).to.equal('GUSHER_TRUSTED_PROXIES=10.0.0.1');
    expect(severities(checkForwarding({ ...arrived, hasClient: false }, ''))).to.deep.equal(['warning']);
    expect(severities(checkForwarding({ ...arrived, hasScheme: false }, '10.0.0.1'))).to.deep.equal([
      'ok',
      'warning',
    ]);
    expect(severities(checkForwarding(undefined, ''))).to.deep.equal(['skipped']);
  });

  it('cover certificate and clocks', () => {
    const certificate = (days: number) =>
      checkCertificate({ isTls: true, isLocal: false, certificateEnd: days * DAY_MS }, 0).severity;
    expect([certificate(60), certificate(10), certificate(-1)]).to.deep.equal(['ok', 'warning', 'problem']);
    const plain = { isTls: false, certificateEnd: undefined };
    expect(checkCertificate({ ...plain, isLocal: false }, 0).severity).to.equal('warning');
    expect(checkCertificate({ ...plain, isLocal: true }, 0).severity).to.equal('skipped');
    const clock = (skewMs: number | undefined) => checkClock('clock', skewMs, 5_000).severity;
    expect([clock(0), clock(-6_000), clock(90_000), clock(undefined)]).to.deep.equal([
      'ok',
      'warning',
      'problem',
      'skipped',
    ]);
  });
});
