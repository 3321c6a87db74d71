/** Which gates are pinned: another load that leaves them as they are leaves their ids. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadNative } from '../../src/kernel/native.js';
import type { AgentEnvironment } from './agent-process.js';

export function gateIds({ env }: AgentEnvironment): number[] {
  const native = loadNative();
  const folder = join(env.LOOPWARDEN_PINS_PATH ?? '', 'gates-1/programs');
  return readdirSync(folder).map((name) => {
    const program = native.openPinnedProgram(join(folder, name));
    const { id } = program;
    program.close();
    return id;
  });
}
