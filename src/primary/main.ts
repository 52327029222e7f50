#!/usr/bin/env node
import './process/v8-flags.ts';
import { runCommandLine } from './cli/cli.ts';

// The reader of a pipe may leave first, as `head` does; what is printed then is for nobody.
process.stdout.on('error', () => undefined);

process.exitCode = await runCommandLine(process.argv.slice(2));
