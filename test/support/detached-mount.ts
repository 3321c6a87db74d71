/** A detached tmpfs with loop nodes in it, as root makes it in the initial namespaces: the shape of an instance. */
import { spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';

const O_PATH = 0o10000000;

/** The numbers of fsopen, fsconfig and fsmount are the same on every architecture. */
const SCRIPT = `
import ctypes, os, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    result = libc.syscall(*arguments)
    if result < 0: raise OSError(ctypes.get_errno(), "syscall")
    return result
owner, numbers = int(sys.argv[1]), [int(n) for n in sys.argv[2:]]
context = call(430, b"tmpfs", 0)
call(431, context, 6, None, None, 0)
mount = call(432, context, 0, 0)
def node(name, kind, device):
    os.mknod(name, kind | 0o600, device, dir_fd=mount)
    os.chown(name, owner, owner, dir_fd=mount)
    os.chmod(name, 0o600, dir_fd=mount)
os.chmod("/proc/self/fd/%d" % mount, 0o755)
node("loop-control", stat.S_IFCHR, os.makedev(10, 237))
for number in numbers: node("loop%d" % number, stat.S_IFBLK, os.makedev(7, number))
print(mount, flush=True)
sys.stdin.read()
`;

export interface DetachedMount {
  fd: number;
  close(): Promise<void>;
}

/** `owner`: uid and gid of the nodes. It goes with \`close\` unless it was attached somewhere. */
export async function makeDetachedMount(
  t: TestContext,
  owner: number,
  numbers: readonly number[] = [],
): Promise<DetachedMount> {
  const maker = spawn('python3', ['-c', SCRIPT, String(owner), ...numbers.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => maker.once('exit', () => resolve()));
  const { value } = await createInterface(maker.stdout)[Symbol.asyncIterator]().next();
  if (value === undefined) throw new Error('no detached mount was made');
  const fd = openSync(`/proc/${maker.pid}/fd/${value}`, O_PATH | constants.O_DIRECTORY);
  let open = true;
  const close = async (): Promise<void> => {
    if (!open) return;
    open = false;
    closeSync(fd);
    maker.stdin.end();
    await ended;
  };
  defer(t, close);
  return { fd, close };
}
