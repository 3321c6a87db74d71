/** `loopwarden oci-hook`: gives a container that asks for it loop devices of its own, and takes them back at its end. */
import { createError, EXIT, type ExitCode, LoopwardenError } from '../errors.js';
import { readContainer } from '../loopfs/container.js';
import { allowLoopDevices } from '../loopfs/device-cgroup.js';
import {
  instanceNameOf,
  MAX_STATE_BYTES,
  type OciState,
  parseOciState,
  readBundle,
  readWish,
} from '../loopfs/oci-state.js';
import { createLoopfsClient, type LoopfsClient } from '../web/loopfs-client.js';
import type { Command } from './command.js';

/** A runtime writes the state at once and waits for us with everything it has. */
const STDIN_MS = 2000;
const TOTAL_MS = 10_000;

export const ociHook: Command = {
  name: 'oci-hook',
  summary: 'for OCI runtimes: the hook for createRuntime and poststop, with the state on stdin',
  async action({ loaded }): Promise<ExitCode> {
    const state = parseOciState(await readStdin());
    const client = createLoopfsClient(loaded.config.loopfs.socket);
    await withinTime(state.status === 'stopped' ? takeBack(state, client) : give(state, client));
    return EXIT.ok;
  },
};

async function give(state: OciState, client: LoopfsClient): Promise<void> {
  const wish = readWish(state);
  if (!wish.wanted) return;
  // Later the container's own program may look for its devices before they are there.
  if (state.status === 'running' || state.pid === undefined)
    throw createError('ERR_HOOK_STATE', { reason: `its status is ${state.status}: not createRuntime` });
  const { rootUid, rootGid } = readContainer(state.pid);
  const { root, devices } = readBundle(state);
  allowLoopDevices(state.pid, devices);
  const name = instanceNameOf(state.id);
  const max = wish.max === undefined ? {} : { max: wish.max };
  await client.create({ name, uidBase: rootUid, gidBase: rootGid, ...max });
  try {
    await client.attach(name, { pid: state.pid, root });
  } catch (error) {
    // The first error is what counts.
    await client.remove(name).catch(() => {});
    throw error;
  }
}

/** Annotations are not always told at poststop, so every container is asked after. */
async function takeBack(state: OciState, client: LoopfsClient): Promise<void> {
  try {
    await client.remove(instanceNameOf(state.id));
  } catch (error) {
    const code = error instanceof LoopwardenError ? error.code : undefined;
    const gone = ['ERR_NO_SUCH_INSTANCE', 'ERR_LOOPFS_NOT_RUNNING'] as readonly (string | undefined)[];
    if (!gone.includes(code)) throw error;
  }
}

async function readStdin(): Promise<string> {
  const timer = setTimeout(
    () => process.stdin.destroy(createError('ERR_HOOK_STATE', { reason: `no end within ${STDIN_MS} ms` })),
    STDIN_MS,
  );
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_STATE_BYTES)
        throw createError('ERR_HOOK_STATE', { reason: 'it is larger than 1 MiB' });
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  } finally {
    clearTimeout(timer);
    process.stdin.destroy();
  }
}

async function withinTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(createError('ERR_AGENT_REFUSED', { reason: `no answer within ${TOTAL_MS / 1000} s` }));
    }, TOTAL_MS - STDIN_MS);
  });
  try {
    await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
