import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { expect } from 'chai';
import { version } from '../../src/shared/version.ts';
import { startGusher } from '../support/gusher.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Everything that a package may contain besides the compiled source. */
const DOCUMENTS = [
  /^(README|CHANGELOG|CONTRIBUTING|PROTOCOL)\.md$/,
  /^LICENSE$/,
  /^\.env\.example$/,
  /^package\.json$/,
  /^deploy\/[\w.-]+$/,
  /^docs\/[\w.-]+\.(md|json)$/,
];

describe('The npm package', function () {
  this.timeout(180_000);
  const folder = temporaryFolder();
  const checkout = join(folder.path, 'checkout');
  let tarball: string;
  let files: string[];

  before(function () {
    const listed = run('git', ['ls-files', '--cached', '--others', '--exclude-standard'], '.');
    if (listed.error !== undefined || listed.status !== 0) {
      console.log('skipped: a clean checkout needs git');
      this.skip();
    }
    // The package has no tests, and without them tsc takes half of the time.
    const paths = listed.stdout
      .trim()
      .split('\n')
      .filter((path) => !/^(test|bench)\//.test(path));
    for (const path of paths.filter((one) => existsSync(one))) {
      mkdirSync(dirname(join(checkout, path)), { recursive: true });
      cpSync(path, join(checkout, path));
    }
    symlinkSync(resolve('node_modules'), join(checkout, 'node_modules'));
    const packed = run('npm', ['pack', '--json', '--pack-destination', folder.path], checkout);
    expect(packed.status, packed.stderr).to.equal(0);
    const [report] = Object.values(JSON.parse(packed.stdout) as Report[]);
    files = report?.files.map(({ path }) => path) ?? [];
    tarball = join(folder.path, report?.filename ?? '');
  });
  after(folder.remove);

  it('contains each file of src compiled, and no source map', () => {
    const compiled = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => `dist/src/${path.replace(/\.ts$/, '.js')}`);
    expect(files.filter((path) => path.startsWith('dist/')).sort()).to.deep.equal(compiled.sort());
  });

  it('contains the documents and the deployment files, and nothing else', () => {
    const others = files.filter((path) => !path.startsWith('dist/'));
    const unexpected = others.filter((path) => !DOCUMENTS.some((form) => form.test(path)));
    expect(unexpected, 'files that "files" of package.json must not select').to.deep.equal([]);
    const tracked = ['deploy', 'docs'].flatMap((name) => readdirSync(name).map((file) => `${name}/${file}`));
    const roots = ['README', 'CHANGELOG', 'CONTRIBUTING', 'PROTOCOL'].map((name) => `${name}.md`);
    expect(others).to.include.members([...tracked, ...roots, 'LICENSE', '.env.example']);
  });

  it('contains every page that its documents link to', () => {
    const broken = files.filter((path) => path.endsWith('.md')).flatMap((page) => linksOutside(page, files));
    expect(broken, 'links to files that the package lacks').to.deep.equal([]);
  });

  it('installs into an empty prefix, and its program serves', async function () {
    const prefix = join(folder.path, 'prefix');
    const options = ['--global', '--prefix', prefix, '--prefer-offline', '--no-audit', '--no-fund'];
    const installed = run('npm', ['install', ...options, tarball], folder.path);
    if (/E(NOTFOUND|CONNREFUSED|AI_AGAIN|TIMEDOUT|NOTCACHED)/.test(installed.stderr)) {
      console.log('skipped: the npm registry is not reachable');
      this.skip();
    }
    expect(installed.status, installed.stderr).to.equal(0);
    const program = join(prefix, 'bin/gusher');
    expect(run(program, ['--version'], folder.path).stdout.trim()).to.equal(version);

    const gusher = await startGusher({ program, workers: 1 });
    try {
      expect((await fetch(`${gusher.api}/healthz`)).status).to.equal(200);
      expect(gusher.output).to.include('gusher subscribe news').and.not.include('npx');
    } finally {
      expect(await gusher.stop()).to.equal(0);
    }
  });
});

interface Report {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

function run(command: string, words: readonly string[], cwd: string) {
  return spawnSync(command, words, { cwd, encoding: 'utf8', timeout: 120_000 });
}

/** Returns the relative links of a page to files that are not among `files`. */
function linksOutside(page: string, files: readonly string[]): string[] {
  const text = readFileSync(page, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  const links = [...text.matchAll(/\]\(([^)\s#]+)/g)].map(([, link = '']) => link);
  const targets = links
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => normalize(join(dirname(page), link)));
  return targets
    .filter((target) => !files.some((file) => file === target || file.startsWith(`${target}/`)))
    .map((target) => `${page} → ${target}`);
}
