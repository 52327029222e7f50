import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runCommandLine } from '../../src/primary/cli/cli.ts';

const PROGRAM = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));

type Environment = Readonly<Record<string, string>>;

export interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly errorLines: string;
  /** A line each, without the name of the program and the hint. */
  readonly errors: readonly string[];
}

const running = new Set<ChildProcess>();

/** Kills the processes that a failed test left running. */
export function killRunningPrograms(): void {
  for (const child of running) child.kill('SIGKILL');
}

process.on('exit', killRunningPrograms);

/** One run of the program. */
export class Run {
  readonly ended: Promise<number | null>;
  output = '';
  errorLines = '';
  readonly #child: ChildProcess;

  constructor(words: readonly string[], folder: string, env: Environment = {}) {
    // Without `--`, Node 20 would read --env-file as its own option.
    const child = spawn(process.execPath, ['--', PROGRAM, ...words], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '', ...env },
    });
    running.add(child);
    this.#child = child;
    this.ended = once(child, 'close').then(([code]) => {
      running.delete(child);
      return code as number | null;
    });
    child.stdout?.on('data', (chunk: Buffer) => {
      this.output += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.errorLines += chunk.toString();
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null;
  }

  /** Closes the pipe of the standard output. */
  closeOutput(): void {
    this.#child.stdout?.destroy();
  }

  get errors(): string[] {
    return errorsIn(this.errorLines);
  }
}

/**
 * Runs a command line in the test's own process, which is faster. Not usable for a `start` that succeeds, nor for
 * `subscribe`, which waits for signals.
 */
export async function runInProcess(
  words: readonly string[],
  folder: string,
  env: Environment = {},
): Promise<Outcome> {
  const { env: environment, stdout, stderr } = process;
  const home = process.cwd();
  const output: string[] = [];
  const errorLines: string[] = [];
  const restore = [redirect(stdout, output), redirect(stderr, errorLines)];
  process.chdir(folder);
  process.env = { ...env };
  try {
    const code = await runCommandLine(words);
    return {
      code,
      output: output.join(''),
      errorLines: errorLines.join(''),
      errors: errorsIn(errorLines.join('')),
    };
  } finally {
    process.env = environment;
    process.chdir(home);
    for (const back of restore) back();
  }
}

/** Redirects a stream to a list; returns the function that restores it. */
function redirect(stream: NodeJS.WriteStream, texts: string[]): () => void {
  const { write } = stream;
  stream.write = (chunk: Uint8Array | string) => texts.push(chunk.toString()) > 0;
  return () => {
    stream.write = write;
  };
}

function errorsIn(errorLines: string): string[] {
  const lines = errorLines.split('\n').filter((line) => line.startsWith('gusher: '));
  return lines.map((line) => line.slice('gusher: '.length));
}
