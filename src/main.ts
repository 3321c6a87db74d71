#!/usr/bin/env node
import { runCommandLine } from './commands/program.js';

process.exitCode = await runCommandLine(process.argv.slice(2));
