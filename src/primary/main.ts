#!/usr/bin/env node
import './process/v8-flags.ts';
import cluster from 'node:cluster';
import { runCommandLine } from './cli/cli.ts';

process.stdout.on('error', ignoreClosedPipe);

process.exitCode = await runCommandLine(process.argv.slice(2));
// As the worker of another cluster, the process has a channel that would keep it alive.
if (cluster.isWorker) process.exit();

/** The reader of the output may exit first, for example `head`. */
function ignoreClosedPipe(): void {}
