import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { replaceFile } from '../../../src/shared/files/atomic-write.ts';
import { HeldFolder, UntrustedFileError } from '../../../src/shared/files/held-folder.ts';
import { runInProcess } from '../../support/command-line.ts';

const SERVICE = 65_534;
const SECRET = '{"apps":{"other":{"url":"http://h/","secret":"hush"}}}\n';

/** `theirs` belongs to the user of the service, `ours` to root. */
describe('HeldFolder, when root writes in the folder of another user', () => {
  const isRoot = process.geteuid?.() === 0;
  let theirs: string;
  let ours: string;
  let secret: string;

  beforeEach(() => {
    const base = mkdtempSync(join(tmpdir(), 'gusher-root-'));
    chmodSync(base, 0o755);
    theirs = join(base, 'theirs');
    ours = join(base, 'ours');
    for (const folder of [theirs, ours]) mkdirSync(folder, { mode: 0o755 });
    secret = join(ours, 'secret.json');
    writeFileSync(secret, SECRET, { mode: 0o600 });
    // Without root, the folder already belongs to another user than root.
    if (isRoot) chownSync(theirs, SERVICE, SERVICE);
  });
  afterEach(() => rmSync(join(theirs, '..'), { recursive: true, force: true }));

  async function change(path: string): Promise<unknown> {
    try {
      const folder = await HeldFolder.of(path, true);
      try {
        const present = await folder.read();
        await replaceFile(folder, '{"apps":{}}\n', present?.stats);
      } finally {
        await folder.close();
      }
      return undefined;
    } catch (error) {
      return error;
    }
  }

  function expectSecretUnchanged(): void {
    expect(readFileSync(secret, 'utf8')).to.equal(SECRET);
    const { uid, mode } = statSync(secret);
    expect([uid, mode & 0o777]).to.deep.equal([process.geteuid?.(), 0o600]);
  }

  const attacks: [name: string, plant: () => string][] = [
    [
      'the file is a link',
      () => {
        symlinkSync(secret, join(theirs, 'apps.json'));
        return join(theirs, 'apps.json');
      },
    ],
    [
      'the file is a link to nothing',
      () => {
        symlinkSync(join(ours, 'new.json'), join(theirs, 'apps.json'));
        return join(theirs, 'apps.json');
      },
    ],
    [
      'the folder is a link',
      () => {
        symlinkSync(ours, join(theirs, 'etc'));
        return join(theirs, 'etc', 'secret.json');
      },
    ],
    [
      'the folder is reached through a relative link',
      () => {
        symlinkSync('../ours', join(theirs, 'etc'));
        return join(theirs, '.', 'etc', 'secret.json');
      },
    ],
    [
      'the file is a second name of a file of root',
      () => {
        linkSync(secret, join(theirs, 'apps.json'));
        return join(theirs, 'apps.json');
      },
    ],
    [
      'the file is a pipe',
      () => {
        execFileSync('mkfifo', [join(theirs, 'apps.json')]);
        return join(theirs, 'apps.json');
      },
    ],
    [
      'links lead in a circle',
      () => {
        symlinkSync('apps.json', join(theirs, 'apps.json'));
        return join(theirs, 'apps.json');
      },
    ],
  ];
  for (const [name, plant] of attacks) {
    it(`rejects the change if ${name}`, async () => {
      expect(await change(plant())).to.be.instanceOf(UntrustedFileError);
      expectSecretUnchanged();
      expect(readdirSync(ours)).to.deep.equal(['secret.json']);
    });
  }

  it('rejects a file of another user in a shared folder', async function () {
    if (!isRoot) this.skip();
    chownSync(theirs, 0, 0);
    chmodSync(theirs, 0o1777);
    writeFileSync(join(theirs, 'apps.json'), SECRET);
    chownSync(join(theirs, 'apps.json'), SERVICE, SERVICE);
    expect(await change(join(theirs, 'apps.json'))).to.be.instanceOf(UntrustedFileError);
  });

  it('writes to the folder that was opened, although another one has its name now', async () => {
    const folder = await HeldFolder.of(join(theirs, 'secret.json'), true);
    try {
      renameSync(theirs, `${theirs}.moved`);
      symlinkSync(ours, theirs);
      await replaceFile(folder, 'new', (await folder.read())?.stats);
      expectSecretUnchanged();
      expect(readFileSync(join(`${theirs}.moved`, 'secret.json'), 'utf8')).to.equal('new');
    } finally {
      await folder.close();
      rmSync(theirs);
      renameSync(`${theirs}.moved`, theirs);
    }
  });

  it('leaves no temporary file, and gives the new file to the owner of the folder', async () => {
    const path = join(theirs, 'apps.json');
    expect(await change(path)).to.equal(undefined);
    expect(readdirSync(theirs)).to.deep.equal(['apps.json']);
    const { uid, mode } = statSync(path);
    expect([uid, mode & 0o777]).to.deep.equal([statSync(theirs).uid, 0o600]);
  });

  it('follows a symbolic link that root owns', async function () {
    if (!isRoot) this.skip();
    const path = join(ours, 'apps.json');
    symlinkSync('secret.json', path);
    expect(await change(path)).to.equal(undefined);
    expect(lstatSync(path).isSymbolicLink()).to.equal(true);
    expect(readFileSync(secret, 'utf8')).to.equal('{"apps":{}}\n');
  });

  it('makes the command line name the file in one sentence, and follows no link named as its lock', async function () {
    if (!isRoot) this.skip();
    const words = ['apps', 'add', 'shop', '--url', 'http://h/', '--apps-file', join(theirs, 'apps.json')];
    for (const name of ['apps.json.lock', `apps.json.${process.pid}.tmp`, 'apps.json.tmp'])
      symlinkSync(secret, join(theirs, name));
    // The lock of a process that was killed.
    execFileSync('touch', ['-h', '-d', '1 hour ago', join(theirs, 'apps.json.lock')]);
    expect(await runInProcess(words, theirs)).to.include({ code: 0 });
    expectSecretUnchanged();
    rmSync(join(theirs, 'apps.json'));
    symlinkSync(secret, join(theirs, 'apps.json'));
    const { code, errors } = await runInProcess(words, theirs);
    expect(code).to.equal(1);
    expect(errors).to.have.lengthOf(1);
    expect(errors[0]).to.match(/cannot be written: .*apps\.json is a link that another user may have made$/);
    expectSecretUnchanged();
  });
});
