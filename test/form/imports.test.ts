import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { readSources, type SourceFile } from '../support/source-files.ts';

/** Entry points, which no file imports. */
const ENTRIES = ['primary/main.ts', 'worker/entry.ts', 'webhook-sender/main.ts'];

/**
 * The home of each npm package: files, or folders with a trailing `/`. One home per process; the command line
 * counts as its own process. A new package needs a line here.
 */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  '@opentelemetry/api': ['worker/tracing/tracer.ts'],
  '@socket.io/sticky': ['primary/dispatch/sticky-balancer.ts', 'worker/ipc/socket-receiver.ts'],
  dotenv: ['primary/cli/env-file.ts'],
  'find-my-way': ['worker/api/'],
  jose: ['primary/cli/commands/token.ts', 'worker/auth/'],
  ioredis: ['shared/redis/client.ts'],
  re2js: ['worker/api/publish/pattern-messages.ts'],
  pino: ['shared/logging/log.ts'],
  'prom-client': ['primary/metrics/exposition.ts'],
  valibot: [
    'primary/cli/',
    'primary/presence/',
    'shared/apps/',
    'shared/model/',
    'worker/api/',
    'worker/auth/',
  ],
  ws: [
    'primary/cli/clients/',
    'primary/cli/diagnosis/network/probe.ts',
    'worker/connection/client-socket.ts',
    'worker/handshake/websocket-handshake.ts',
    'worker/websocket/ws-receiver-patch.ts',
  ],
  yargs: ['primary/cli/'],
};

/**
 * What the files of a folder may import, besides `shared/` and the folder itself. The innermost folder counts.
 * This separates the processes, and brokers and protocols from the code built on them.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'shared/': [],
  'webhook-sender/': [],
  'primary/': ['primary/'],
  'primary/broker/': [],
  'primary/cli/': ['primary/primary.ts'],
  'primary/dispatch/': [],
  'primary/limits/': ['primary/presence/registry.ts'],
  'primary/listeners/': ['primary/dispatch/'],
  'primary/metrics/': ['primary/webhooks/delivery-queue.ts'],
  'primary/presence/': [],
  'primary/process/': [],
  'primary/supervisor/': [
    'primary/broker/',
    'primary/dispatch/',
    'primary/idempotency-store.ts',
    'primary/metrics/',
    'primary/limits/',
    'primary/presence/query-server.ts',
    'primary/presence/registry.ts',
    'primary/process/',
    'primary/tails.ts',
    'primary/webhooks/',
  ],
  'primary/webhooks/': ['primary/presence/registry.ts', 'primary/process/'],
  'worker/': ['worker/'],
  'worker/api/': [
    'worker/auth/token-verifier.ts',
    'worker/broker/broker.ts',
    'worker/broker/publisher.ts',
    'worker/ipc/idempotency-client.ts',
    'worker/ipc/presence-client.ts',
    'worker/ipc/socket-reporter.ts',
    'worker/ipc/tail-client.ts',
    'worker/metrics/delivery-report-client.ts',
    'worker/metrics/metrics-client.ts',
    'worker/tracing/tracer.ts',
  ],
  'worker/auth/': [],
  'worker/broker/': ['worker/tracing/tracer.ts'],
  'worker/connection/': ['worker/auth/grants.ts', 'worker/limits/', 'worker/websocket/'],
  'worker/handshake/': [
    'worker/api/http/router.ts',
    'worker/auth/app-guards.ts',
    'worker/auth/authenticator.ts',
    'worker/auth/grants.ts',
    'worker/connection/',
    'worker/hub/hub.ts',
    'worker/ipc/presence-client.ts',
    'worker/ipc/socket-reporter.ts',
    'worker/lifecycle/token-expiry.ts',
    'worker/protocols/pusher/close-codes.ts',
    'worker/protocols/pusher/messages.ts',
    'worker/protocols/pusher/pusher-protocol.ts',
    'worker/websocket/frame.ts',
  ],
  'worker/hub/': [
    'worker/auth/grants.ts',
    'worker/broker/broker.ts',
    'worker/broker/publisher.ts',
    'worker/connection/',
    'worker/ipc/presence-reporter.ts',
    'worker/limits/',
    'worker/metrics/delivery-tracker.ts',
    'worker/tracing/tracer.ts',
    'worker/websocket/frame.ts',
  ],
  'worker/ipc/': [],
  'worker/limits/': [],
  'worker/lifecycle/': [
    'worker/connection/',
    'worker/hub/fan-out.ts',
    'worker/hub/hub.ts',
    'worker/websocket/frame.ts',
  ],
  'worker/metrics/': ['worker/broker/broker.ts', 'worker/connection/connection.ts'],
  'worker/protocols/gusher/': [
    'worker/auth/grants.ts',
    'worker/auth/token-verifier.ts',
    'worker/connection/',
    'worker/hub/client-events.ts',
    'worker/hub/hub.ts',
    'worker/lifecycle/token-expiry.ts',
    'worker/limits/join-pace.ts',
    'worker/remote/remotes.ts',
  ],
  'worker/protocols/pusher/': [
    'worker/broker/broker.ts',
    'worker/connection/',
    'worker/hub/client-events.ts',
    'worker/hub/hub.ts',
    'worker/ipc/presence-client.ts',
    'worker/ipc/webhook-reporter.ts',
    'worker/limits/join-pace.ts',
  ],
  'worker/remote/': ['worker/connection/'],
  'worker/tracing/': [],
  'worker/websocket/': [],
};

/** Files that compose a process: only these files may import them. */
const IMPORTED_ONLY_BY: Readonly<Record<string, readonly string[]>> = {
  'webhook-sender/main.ts': [],
  'primary/main.ts': [],
  'primary/cli/cli.ts': ['primary/main.ts'],
  'primary/primary.ts': ['primary/cli/commands/start.ts'],
  'primary/supervisor/supervisor.ts': ['primary/primary.ts'],
  'worker/entry.ts': [],
  'worker/main.ts': ['worker/entry.ts'],
  'worker/worker.ts': ['worker/main.ts'],
  'worker/create-api.ts': ['worker/worker.ts'],
  'worker/create-connection-layer.ts': ['worker/worker.ts'],
  'worker/handshake/upgrade-handler.ts': ['worker/create-connection-layer.ts'],
  'worker/api/api-server.ts': ['worker/create-api.ts'],
};

/** A folder with more files probably contains a second subject. */
const FILES_PER_FOLDER_MAX = 9;

describe('Imports of src', () => {
  const sources = readSources();
  const byPath = new Map(sources.map((source) => [source.path, source]));

  it('refer to existing files', () => {
    const missing = fileImports().filter(([, to]) => !byPath.has(to));
    expect(missing.map(format), 'imports of missing files').to.deep.equal([]);
    // Fails if the parser finds too few imports.
    expect(fileImports().length).to.be.greaterThan(sources.length);
  });

  it('have no cycle', () => {
    expect(cyclesOf(byPath), 'files that import each other').to.deep.equal([]);
  });

  for (const depth of [2, 3]) {
    it(`have no cycle of folders (at depth ${depth})`, () => {
      expect(cyclesOf(foldersOf(sources, depth)), 'folders that import each other').to.deep.equal([]);
    });
  }

  it('go from a folder only to itself, to shared and to the folders below it', () => {
    const errors = fileImports().filter(([from, to]) => !mayImport(from, to));
    expect(errors.map(format), 'imports that MAY_IMPORT does not allow').to.deep.equal([]);
  });

  it('never refer to the composition of a process', () => {
    const errors = fileImports().filter(([from, to]) => !(IMPORTED_ONLY_BY[to] ?? [from]).includes(from));
    expect(errors.map(format), 'imports of composing files').to.deep.equal([]);
  });

  it('use each npm package in one place per process', () => {
    const errors = packageImports().filter(
      ([from, name]) => !(HOMES[name] ?? []).some((home) => from.startsWith(home)),
    );
    expect(errors.map(format), 'packages outside their home in HOMES').to.deep.equal([]);
  });

  it('use every dependency of package.json, and no other package', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: object };
    const used = [...new Set(packageImports().map(([, name]) => name))].sort();
    expect(used, 'packages imported').to.deep.equal(Object.keys(manifest.dependencies).sort());
    expect(Object.keys(HOMES).sort(), 'packages in HOMES of this test').to.deep.equal(used);
  });

  it('reach every file', () => {
    const reached = new Set([...ENTRIES, ...fileImports().map(([, to]) => to)]);
    const dead = sources.map(({ path }) => path).filter((path) => !reached.has(path));
    expect(dead, 'files that nothing imports').to.deep.equal([]);
  });

  function fileImports(): [from: string, to: string][] {
    return sources.flatMap(({ path, imports }) =>
      imports.flatMap((one) => (one.kind === 'file' ? [[path, one.path] as [string, string]] : [])),
    );
  }

  function packageImports(): [from: string, name: string][] {
    return sources.flatMap(({ path, imports }) =>
      imports.flatMap((one) => (one.kind === 'package' ? [[path, one.name] as [string, string]] : [])),
    );
  }
});

describe('Files of src', () => {
  const sources = readSources();

  it('have names in kebab-case', () => {
    const errors = sources
      .map(({ path }) => path)
      .filter((path) => !/^([a-z0-9]+(-[a-z0-9]+)*[/.])+ts$/.test(path));
    expect(errors, 'files not in kebab-case').to.deep.equal([]);
  });

  it('number at most nine per folder', () => {
    const counts = new Map<string, number>();
    for (const { path } of sources) {
      const folder = path.slice(0, path.lastIndexOf('/'));
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    }
    const crowded = [...counts].filter(([, files]) => files > FILES_PER_FOLDER_MAX);
    expect(crowded, 'folders with more files').to.deep.equal([]);
  });

  it('have no `any`', () => {
    const form = /[:<|&(,[=]\s*any\b(?=\s*(?:[\][,;)>|&={]|$))|\bas any\b/;
    expect(linesWith(sources, form), 'lines with any').to.deep.equal([]);
  });

  it('have no enum and no namespace', () => {
    const found = linesWith(sources, /^\s*(?:export\s+|declare\s+|const\s+)*(?:enum|namespace)\s+\w/);
    expect(found, 'enums and namespaces').to.deep.equal([]);
  });
});

function mayImport(from: string, to: string): boolean {
  const folders = Object.keys(MAY_IMPORT).filter((folder) => from.startsWith(folder));
  const folder = folders.sort((one, other) => other.length - one.length)[0] ?? from;
  return ['shared/', folder, ...(MAY_IMPORT[folder] ?? [])].some((allowed) => to.startsWith(allowed));
}

function format([from, to]: readonly [from: string, to: string]): string {
  return `${from} -> ${to}`;
}

/** Returns each cycle of files that import each other. */
function cyclesOf(files: ReadonlyMap<string, SourceFile>): string[] {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path].join(' -> '));
    if (start >= 0 || done.has(path)) return;
    for (const one of files.get(path)?.imports ?? []) {
      if (one.kind === 'file') visit(one.path, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of files.keys()) visit(path, []);
  return cycles;
}

/** Combines the files of each folder at this depth; files above it stay as they are. */
function foldersOf(files: readonly SourceFile[], depth: number): Map<string, SourceFile> {
  const nameOf = (path: string): string => path.split('/').slice(0, depth).join('/');
  const folders = new Map<string, SourceFile>();
  for (const { path, imports } of files) {
    const name = nameOf(path);
    const outside = imports.flatMap((one) =>
      one.kind === 'file' && nameOf(one.path) !== name
        ? [{ kind: 'file' as const, path: nameOf(one.path) }]
        : [],
    );
    folders.set(name, { path: name, text: '', imports: [...(folders.get(name)?.imports ?? []), ...outside] });
  }
  return folders;
}

function linesWith(sources: readonly SourceFile[], form: RegExp): string[] {
  return sources.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) => (form.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}
