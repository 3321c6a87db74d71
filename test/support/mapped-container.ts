/** A container with a mount and network namespace and a /dev of its own; with mapped ids, or as the host's root. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { command, type Outcome } from './shell.js';

const CLONE_NEWNS = 0x20000;
const CLONE_NEWNET = 0x40000000;
const CLONE_NEWUSER = 0x10000000;

export const MAPPED_ROOT = 100_000;

const SCRIPT = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
flags, script = int(sys.argv[1]), sys.argv[2]
if libc.unshare(flags): raise OSError(ctypes.get_errno(), "unshare")
print("unshared", flush=True)
sys.stdin.readline()
os.setgroups([]); os.setgid(0); os.setuid(0)
os.execv("/bin/sh", ["sh", "-ec", script + "\\necho ready; exec cat"])
`;

const OWN_DEV = `
mount --make-rprivate / 2>/dev/null || mount --make-rslave /
mount -t tmpfs -o mode=755 tmpfs /dev
: > /dev/null`;

/** A /dev with the host's harmless devices, as runtimes make it; device nodes cannot be made there. */
export const DEV_WITH_NODES = `
mount --make-rprivate / 2>/dev/null || mount --make-rslave /
mount -t tmpfs -o mode=755 tmpfs /mnt
for name in null zero urandom fuse; do : > /mnt/$name; mount --bind /dev/$name /mnt/$name; done
ln -s /proc/self/fd /mnt/fd
mount --rbind /mnt /dev`;

/** Words of nsenter(1): as the root of a process's user namespace, with its network namespace. */
export const asRootOf = (pid: number): string[] => [
  ...['-t', String(pid), '-n'],
  ...['-U', '-S', '0', '-G', '0'],
];

export interface MappedContainer {
  pid: number;
  /** The host's id of its root. */
  rootId: number;
  /** A shell script as its root, with all its namespaces. */
  run(script: string): Promise<string>;
  try(script: string): Promise<Outcome>;
  stop(): Promise<void>;
}

/** `prepare`: commands that it runs first, as its root, instead of making a /dev of its own. */
export async function startMappedContainer(
  t: TestContext,
  { userns = true, prepare = OWN_DEV }: { userns?: boolean; prepare?: string } = {},
): Promise<MappedContainer> {
  const flags = CLONE_NEWNS | CLONE_NEWNET | (userns ? CLONE_NEWUSER : 0);
  const child = spawn('python3', ['-c', SCRIPT, String(flags), prepare], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  defer(t, stop);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  await lines.next();
  const pid = child.pid ?? 0;
  if (userns) {
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${map}`, `0 ${MAPPED_ROOT} 65536`);
  }
  child.stdin.write('\n');
  if ((await lines.next()).value !== 'ready') throw new Error('the container did not start');
  const enter = (script: string): Promise<Outcome> =>
    command('nsenter', [
      ...['-t', String(pid), '-m', '-n', ...(userns ? ['-U', '-S', '0', '-G', '0'] : [])],
      ...['sh', '-ec', script],
    ]);
  return {
    pid,
    rootId: userns ? MAPPED_ROOT : 0,
    try: enter,
    async run(script) {
      const { code, stdout, stderr } = await enter(script);
      if (code !== 0) throw new Error(`in the container: ${script}: exit ${code}: ${stderr}`);
      return stdout.trim();
    },
    stop,
  };
}
