/** Binds the control socket: only root may connect, a dead agent's leftover is replaced, a live one's is not. */
import { lstat, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { createError, LoopwardenError, reasonOf } from '../errors.js';
import { makeFolder } from '../sinks/make-folder.js';

// sun_path holds 108 bytes with the final zero.
const MAX_SOCKET_PATH_BYTES = 107;

/** @throws ERR_ALREADY_RUNNING, ERR_SOCKET_PATH */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  // libuv would cut it short without a word and bind another name.
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw createError('ERR_SOCKET_PATH', { path, reason: 'the path is longer than 107 bytes' });
  }
  try {
    await makeFolder(dirname(path));
    await removeStale(path);
    await bindPrivately(server, path);
  } catch (error) {
    if (error instanceof LoopwardenError) throw error;
    // Bound between our look and our bind: another agent started at the same moment.
    if (codeOf(error) === 'EADDRINUSE')
      throw createError('ERR_ALREADY_RUNNING', { trace: `it answers on ${path}` }, { cause: error });
    throw createError('ERR_SOCKET_PATH', { path, reason: reasonOf(error) }, { cause: error });
  }
}

async function removeStale(path: string): Promise<void> {
  const before = await statOf(path);
  if (before === undefined) return;
  if (!before.isSocket()) {
    throw createError('ERR_SOCKET_PATH', { path, reason: 'it exists and is not a socket' });
  }
  if (await isAnswered(path)) throw createError('ERR_ALREADY_RUNNING', { trace: `it answers on ${path}` });
  // Not a socket that another agent has put there since.
  const now = await statOf(path);
  if (now !== undefined && now.ino === before.ino && now.ctimeMs === before.ctimeMs) await unlink(path);
}

async function statOf(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      // EAGAIN: somebody listens, but the queue of connections is full.
      if (codeOf(error) === 'EAGAIN') resolve(true);
      else if (codeOf(error) === 'ECONNREFUSED' || codeOf(error) === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}

// Node binds within listen(), so the umask is ours for that one call and the socket is never open to others.
function bindPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const umask = process.umask(0o177);
    try {
      server.listen({ path }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
