/** A container of a real OCI runtime that has no user namespace of its own, as Docker's and Podman's have none unless told. */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { tempImage } from './image.js';
import { type Runtime, wordsOf } from './oci-bundle.js';
import { succeed } from './shell.js';
import { tempFolder } from './temp-folder.js';

/** What `docker run --cap-add` gives it: to set a loop device, and to make the node of one that is new. */
const CAPABILITIES = ['CAP_SYS_ADMIN', 'CAP_MKNOD', 'CAP_DAC_OVERRIDE'];
const LOOP_CONTROL = { major: 10, minor: 237 };
const DEVICES = [
  { allow: true, type: 'c', ...LOOP_CONTROL, access: 'rwm' },
  { allow: true, type: 'b', major: 7, access: 'rwm' },
];

export interface RuntimeContainer {
  /** Its id, as Docker and Podman make them. */
  id: string;
  /** Of its cgroup, as in /proc/PID/cgroup. */
  cgroup: string;
  /** Of its first process, on the host. */
  pid: number;
  /** Number of its pid namespace. */
  pidns: number;
  /** Words before a command that the runtime starts in it. */
  enter: readonly string[];
  /** A shell script in it; its output. @throws if it fails */
  run(script: string): Promise<string>;
  /** Ends its processes: what it has attached stays. */
  end(): Promise<void>;
}

/** In it: a loop device for its /disk.img; prints the device. */
export const ATTACH = `
d=$(losetup -f)
test -e $d || mknod $d b 7 \${d#/dev/loop}
losetup $d /disk.img
echo $d`;

/** Its name in the cgroup is what Docker (of runc) or Podman (of crun) would call it. Ended after the test. */
export async function startRuntimeContainer(t: TestContext, runtime: Runtime): Promise<RuntimeContainer> {
  const id = randomBytes(32).toString('hex');
  const cgroup = `/${runtime.name === 'crun' ? 'libpod' : 'docker'}-${id}.scope`;
  const folder = makeRootfulBundle(t, cgroup);
  const words = [...wordsOf(runtime), '--root', join(folder, 'state')];
  const [file = '', ...options] = words;
  const child = spawn(file, [...options, 'run', '--bundle', folder, id], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  defer(t, end);
  await Promise.race([
    new Promise((resolve) => child.stdout.once('data', resolve)),
    ended.then(() => Promise.reject(new Error(`${runtime.name}: ${said}`))),
  ]);
  const state = await succeed(file, [...options, 'state', id]);
  const { pid } = JSON.parse(state) as { pid: number };
  const within = [...options, 'exec', id];
  return {
    id,
    cgroup,
    pid,
    pidns: Number(await succeed('stat', ['-L', '-c', '%i', `/proc/${pid}/ns/pid`])),
    enter: [file, ...within],
    run: (script) => succeed(file, [...within, 'sh', '-ec', script]),
    end,
  };
}

/** The host's programs, read-only, in a root folder of its own with /disk.img. */
function makeRootfulBundle(t: TestContext, cgroup: string): string {
  const folder = tempFolder(t);
  const rootfs = join(folder, 'rootfs');
  for (const name of ['dev', 'proc', 'sys', 'tmp', 'usr', 'etc'])
    mkdirSync(join(rootfs, name), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(rootfs, name));
  tempImage(t, 8 << 20, rootfs);
  execFileSync('crun', ['spec'], { cwd: folder });
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  config.process.terminal = false;
  config.process.args = ['sh', '-c', 'echo ready; exec cat'];
  for (const capabilities of Object.values(config.process.capabilities) as string[][])
    capabilities.push(...CAPABILITIES);
  config.root.readonly = false;
  config.mounts.push({ destination: '/usr', source: '/usr', type: 'bind', options: ['rbind', 'ro'] });
  config.linux.cgroupsPath = cgroup;
  config.linux.devices = [{ path: '/dev/loop-control', type: 'c', ...LOOP_CONTROL, fileMode: 0o600 }];
  config.linux.resources.devices.push(...DEVICES);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}
