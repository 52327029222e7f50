import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { RunningGusher } from '../support/gusher.ts';
import { childrenOf, isAlive } from '../support/processes.ts';
import { requireProgram, skip } from '../support/programs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const DOCKERFILE = readFileSync('Dockerfile', 'utf8');
const COMPILED = fileURLToPath(new URL('../../src', import.meta.url));
/** The user `node` of the image. */
const USER_ID = '1000';
const NAMESPACES = ['--pid', '--fork', '--mount', '--mount-proc', '--kill-child'];

/**
 * The image by hand, for machines without a container runtime: the files of its last stage, its user without capabilities, a
 * read-only root, and gusher as process 1 of a pid namespace.
 */
describe('The image of the Dockerfile', () => {
  const folder = temporaryFolder();
  const program = join(folder.path, 'opt/dist/src/primary/main.js');
  let gusher: RunningGusher;
  let pid: number;

  before(async function () {
    requireProgram(this, 'unshare');
    requireProgram(this, 'setpriv');
    const isAllowed = spawnSync('unshare', [...NAMESPACES, 'mount', '--make-rprivate', '/']).status === 0;
    if (!isAllowed) skip(this, 'namespaces are not permitted here');
    copyLastStage(join(folder.path, 'opt'));
    gusher = runAsProcessOne(folder.path, program);
    await gusher.ready();
    [pid = 0] = childrenOf(gusher.process.pid ?? 0);
  });
  after(async () => {
    await gusher?.stop('SIGKILL');
    folder.remove();
  });

  it('runs gusher as process 1, without root, capabilities or a writable root', () => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    expect(status)
      .to.match(/^NSpid:\s+\d+\s+1$/m)
      .and.match(new RegExp(`^Uid:\\s+${USER_ID}\\s`, 'm'));
    expect(status)
      .to.match(/^CapEff:\s+0+$/m)
      .and.match(/^CapBnd:\s+0+$/m)
      .and.match(/^NoNewPrivs:\s+1$/m);
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n');
    const root = mounts.filter((line) => line.split(' ')[4] === '/').at(-1);
    expect(root?.split(' ')[5], 'options of the root').to.match(/^ro\b/);
  });

  it('has a health check that succeeds while gusher serves', () => {
    expect(healthCheck(gusher.api).status).to.equal(0);
    expect(healthCheck('http://127.0.0.1:1').status).to.equal(1);
  });

  it('replaces a killed worker and leaves no zombie', async () => {
    const [worker = 0] = childrenOf(pid);
    process.kill(worker, 'SIGKILL');
    await eventually(() => gusher.workerPids.length === 2, 'a new worker is ready');
    expect(existsSync(`/proc/${worker}`), 'the killed worker was reaped').to.equal(false);
    expect(childrenOf(pid).every(isAlive)).to.equal(true);
  });

  it('stops gracefully on SIGTERM, which the kernel does not apply to process 1 by default', async () => {
    process.kill(pid, 'SIGTERM');
    expect((await gusher.exited).code).to.equal(0);
    expect(healthCheck(gusher.api).status).to.equal(1);
    const errors = gusher.logs.filter(({ level }) => level === 'error' || level === 'fatal');
    expect(errors.map(({ event }) => event)).to.deep.equal(['worker_exited']);
  });
});

describe('The Dockerfile', () => {
  it('copies only what .dockerignore admits', () => {
    const admitted = [...readFileSync('.dockerignore', 'utf8').matchAll(/^!(.+)$/gm)].map(([, path]) => path);
    const copied = [...DOCKERFILE.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) =>
      paths.split(' '),
    );
    expect(copied.sort()).to.deep.equal(admitted.sort());
    expect(copied.filter((path) => !existsSync(path))).to.deep.equal([]);
  });

  it('runs a supported Node without root, with gusher as its only process', () => {
    const [, major] = /^FROM node:(\d+)-/m.exec(DOCKERFILE) ?? [];
    expect(Number(major)).to.be.at.least(20);
    expect(DOCKERFILE)
      .to.match(/^USER node$/m)
      .and.match(/^ENTRYPOINT \["gusher"\]$/m)
      .and.match(/^CMD \["start"\]$/m);
    expect(DOCKERFILE).to.not.match(/curl|tini/);
  });
});

/** Copies what the last stage has: compiled source without maps, and packages that are not for development. */
function copyLastStage(target: string): void {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  const packages = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  const present = packages.map(([path]) => path).filter((path) => existsSync(path));
  mkdirSync(target);
  expect(spawnSync('cp', ['-r', '--parents', ...present, target]).status).to.equal(0);
  cpSync(COMPILED, join(target, 'dist/src'), { recursive: true, filter: (path) => !path.endsWith('.map') });
  cpSync('package.json', join(target, 'package.json'));
}

/** Runs gusher in namespaces of its own, with a read-only root except for its working folder. */
function runAsProcessOne(folder: string, program: string): RunningGusher {
  chmodSync(folder, 0o755);
  const [root, state] = [join(folder, 'root'), join(folder, 'state')];
  for (const path of [root, state]) mkdirSync(path);
  const script = `set -e
    mount --make-rprivate /
    mount --rbind / ${root}
    mount -o remount,bind,ro ${root}
    mount -t tmpfs -o uid=${USER_ID},gid=${USER_ID} tmpfs ${root}${state}
    cd ${root}${state}
    exec chroot ${root} setpriv --reuid ${USER_ID} --regid ${USER_ID} --clear-groups --no-new-privs --bounding-set=-all \
      env -C ${state} ${process.execPath} ${program} start --workers 1`;
  const path = join(folder, 'run.sh');
  writeFileSync(path, script);
  const child: ChildProcess = spawn('unshare', [...NAMESPACES, 'sh', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', GUSHER_LISTEN: '127.0.0.1:0', GUSHER_API_LISTEN: '127.0.0.1:0' },
  });
  return new RunningGusher(child, join(folder, 'unused'), undefined);
}

/** Runs the command of HEALTHCHECK. */
function healthCheck(api: string) {
  const command = /^HEALTHCHECK .* CMD (\[.*\])$/m.exec(DOCKERFILE)?.[1] ?? '[]';
  const [, ...words] = JSON.parse(command) as string[];
  return spawnSync(process.execPath, words, {
    env: { GUSHER_API_LISTEN: new URL(api).host },
    timeout: 10_000,
  });
}
