import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { SETTINGS } from '../../src/shared/config/settings.ts';
import { connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { RunningGusher } from '../support/gusher.ts';
import { requireProgram, skip, TOOL_ENV } from '../support/programs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const UNIT = 'deploy/gusher.service';
const PROGRAM = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));
/** docs/security.md states it for systemd 252; other versions weigh more settings. */
const EXPOSURE_MAX = 2;

describe('deploy/gusher.service', () => {
  const unit = readFileSync(UNIT, 'utf8');

  it('gives gusher more time to stop than gusher takes', () => {
    expect(Number(settingOf('TimeoutStopSec')) * 1_000).to.be.greaterThan(
      SETTINGS.shutdownTimeoutMs.fallback,
    );
    expect(settingOf('KillMode')).to.equal('mixed');
  });

  it('names files that the package installs', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: object };
    const program = /\/opt\/gusher\/bin\/(\w+) start$/.exec(settingOf('ExecStart'))?.[1];
    expect(Object.keys(manifest.bin)).to.deep.equal([program]);
    const documents = [...unit.matchAll(/lib\/node_modules\/gusher\/(\S+)/g)].map(([, path = '']) => path);
    expect(documents.map((path) => readFileSync(path, 'utf8').length > 0)).to.deep.equal([true, true]);
  });

  it('is valid for systemd', function () {
    requireProgram(this, 'systemd-analyze');
    const { status, stdout, stderr } = analyze('verify', UNIT);
    expect([status, stdout + stderr]).to.deep.equal([0, '']);
  });

  it('has the exposure that docs/security.md states', function () {
    requireProgram(this, 'systemd-analyze');
    const { stdout } = analyze('security', '--offline=true', UNIT);
    const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
    expect(exposure, stdout).to.be.at.most(EXPOSURE_MAX);
  });

  it('permits every system call of a gusher that serves', async function () {
    requireProgram(this, 'systemd-analyze');
    requireProgram(this, 'strace');
    if (spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status !== 0)
      skip(this, 'strace may not trace here');
    const permitted = permittedCalls();
    const called = await callsOfRun();
    expect(called.length).to.be.greaterThan(40);
    expect(
      called.filter((name) => !permitted.has(name)),
      'system calls that SystemCallFilter denies',
    ).to.deep.equal([]);
  });

  function settingOf(name: string): string {
    return new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';
  }

  /** Evaluates the lines SystemCallFilter= of the unit. */
  function permittedCalls(): Set<string> {
    const groups = groupsOf(analyze('syscall-filter').stdout);
    const expand = (name: string): string[] => groups.get(name)?.flatMap(expand) ?? [name];
    const permitted = new Set<string>();
    for (const [, isDenial, names = ''] of unit.matchAll(/^SystemCallFilter=(~?)(.*)$/gm)) {
      for (const name of names.split(' ').flatMap(expand)) {
        if (isDenial === '~') permitted.delete(name);
        else permitted.add(name);
      }
    }
    return permitted;
  }
});

function analyze(...words: readonly string[]) {
  return spawnSync('systemd-analyze', ['--no-pager', ...words], { encoding: 'utf8', env: TOOL_ENV });
}

/** Parses the groups of system calls: a line with the name, then an indented line for each member. */
function groupsOf(text: string): Map<string, string[]> {
  const blocks = text.split(/\n(?=@)/).map((block) => block.split('\n'));
  return new Map(
    blocks.map(([name = '', ...lines]) => [
      name.trim(),
      lines.map((line) => line.trim()).filter((line) => /^[@\w-]+$/.test(line)),
    ]),
  );
}

/** Runs gusher with a client, a publication and a stop, and returns the names of its system calls. */
async function callsOfRun(): Promise<string[]> {
  const folder = temporaryFolder();
  const summary = join(folder.path, 'calls');
  // `-D` traces from a grandchild: the child is gusher itself, which receives the signal.
  const child = spawn(
    'strace',
    [
      '-D',
      '-f',
      '-qq',
      '-c',
      '-U',
      'name',
      '-o',
      summary,
      process.execPath,
      PROGRAM,
      'start',
      '--workers',
      '1',
    ],
    {
      cwd: folder.path,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '', GUSHER_LISTEN: '127.0.0.1:0', GUSHER_API_LISTEN: '127.0.0.1:0' },
    },
  );
  const gusher = new RunningGusher(child, folder.path, undefined);
  try {
    await gusher.ready();
    const client = await connectClient(gusher.clientUrl());
    await client.subscribe('news');
    expect((await gusher.publish('news', 'hello', 1)).status).to.equal(200);
    await client.next();
  } finally {
    child.kill('SIGTERM');
    await gusher.exited;
  }
  // strace writes the summary after gusher has exited.
  await eventually(() => linesOf(summary).length > 1, 'strace writes its summary');
  const names = linesOf(summary);
  await gusher.stop();
  return names;
}

/** Returns the names in a summary of strace, a line each. */
function linesOf(path: string): string[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim());
  return lines.filter((line) => /^\w+$/.test(line) && !['syscall', 'total'].includes(line));
}
