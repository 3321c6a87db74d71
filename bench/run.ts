/** All benches, one after the other: `npm run bench`, as root. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

for (const name of [
  'record-cost',
  'event-path',
  'verdict-cost',
  'start',
  'cold-start',
  'audit',
  'metrics',
  'loopfs',
  'loopfs-memory',
  'loopfs-cycles',
]) {
  const path = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', path], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
