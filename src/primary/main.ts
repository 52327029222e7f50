#!/usr/bin/env node
import './process/v8-flags.ts';
import cluster from 'node:cluster';
import { runCommandLine } from './cli/cli.ts';

// The reader of a pipe may leave first, as `head` does; what is printed then is for nobody.
process.stdout.on('error', () => undefined);

process.exitCode = await runCommandLine(process.argv.slice(2));
// The channel to the primary of another cluster would keep the process alive.
if (cluster.isWorker) process.exit();
