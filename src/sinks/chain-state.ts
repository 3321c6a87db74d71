/**
 * The last checkpoint, kept beside the key: what the end of a log is compared with, which nothing in the log itself can
 * vouch for. Written after the log, so it is never ahead of an honest one.
 */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';

export interface ChainState {
  /** Of the log. */
  path: string;
  /** The checkpoint's line with its newline. */
  line: Buffer;
}

export const chainStatePath = (keyPath: string): string => `${keyPath}.state`;

/** Undefined where there is none, or half of one: a power cut may leave it so. @throws EACCES */
export function readChainState(statePath: string): ChainState | undefined {
  try {
    const { path, checkpoint } = JSON.parse(readFileSync(statePath, 'utf8')) as Record<string, unknown>;
    if (typeof path !== 'string' || typeof checkpoint !== 'string') return undefined;
    return { path, line: Buffer.from(`${checkpoint}\n`) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') throw error;
    return undefined;
  }
}

/** Replaces it whole. Rejects with the errno. */
export async function writeChainState(statePath: string, { path, line }: ChainState): Promise<void> {
  const next = `${statePath}.next`;
  const checkpoint = line.toString('utf8').trimEnd();
  await writeFile(next, `${JSON.stringify({ path, checkpoint })}\n`, { mode: 0o600 });
  await rename(next, statePath);
}
