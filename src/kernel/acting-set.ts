/**
 * Whether the programs that an earlier agent left acting are those that this one would load: then they go on, and a start
 * asks nothing of the verifier.
 */
import { createHash } from 'node:crypto';
import type { Gates } from './gates.js';
import type { BpfMap } from './native.js';

/** The pinned map that says it. */
export const ACTING_BUILD = 'acting_build';

const KEY = Buffer.alloc(4);

/** `build`: see describeBuild. Null: behind one of the gates nothing acts. */
function digestOf(gates: Gates, names: readonly string[], build: string): Buffer | null {
  // The kernel gives an id only once until the machine boots again, so nobody's later set passes for this one.
  const ids = names.toSorted().map((name) => [name, gates.actingProgram(name)] as const);
  if (ids.some(([, id]) => id === 0)) return null;
  return createHash('sha256')
    .update(JSON.stringify([build, ids]))
    .digest();
}

/** `kept`: the pinned map acting_build, if there is one. */
export function isActingBuild(
  kept: BpfMap | undefined,
  gates: Gates,
  names: readonly string[],
  build: string,
): boolean {
  const digest = gates.areActing() ? digestOf(gates, names, build) : null;
  return digest !== null && kept?.get(KEY)?.equals(digest) === true;
}

/** Of the set that acts now. */
export function keepActingBuild(kept: BpfMap, gates: Gates, names: readonly string[], build: string): void {
  const digest = digestOf(gates, names, build);
  if (digest) kept.put(KEY, digest);
}
