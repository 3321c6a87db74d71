/** A container for a demo: namespaces with a process that waits in them, unprivileged on the host unless its root is the host's. */
import { readlinkSync, writeFileSync } from 'node:fs';
import { type Outcome, run, startBackground } from './run.js';
import { eventually } from './wait.js';

export interface ContainerOptions {
  /** The host's id of its root; 0: the host's root, whose device nodes it may open. */
  idBase?: number;
  /** With a mount and network namespace of its own. */
  own?: boolean;
  /** A shell script that its root runs first. */
  prepare?: string;
  /** A folder of a cgroup hierarchy that its processes are in. */
  cgroup?: string | undefined;
}

export interface DemoContainer {
  pid: number;
  /** Of its user namespace. */
  inum: number;
  /** A shell script as its root. */
  run(script: string, stop?: AbortSignal): Promise<Outcome>;
  /** The same; its output. @throws with what it said if it fails */
  succeed(script: string, stop?: AbortSignal): Promise<string>;
  /** Ends its processes: what it has attached stays. */
  end(): Promise<void>;
}

/** A /dev of its own with the harmless devices, as runtimes make it. For `own`. */
export const OWN_DEV = `
mount --make-rprivate / 2>/dev/null || mount --make-rslave /
mount -t tmpfs -o mode=755 tmpfs /mnt
for name in null zero urandom; do : > /mnt/$name; mount --bind /dev/$name /mnt/$name; done
ln -s /proc/self/fd /mnt/fd
mount --rbind /mnt /dev`;

const IDS = 65_536;
/** As a container has it: what is in the host's home folders is not for its root. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

export async function openContainer(options: ContainerOptions = {}): Promise<DemoContainer> {
  const { idBase = 0, own = false, prepare, cgroup } = options;
  const holder = await startBackground('unshare', [
    '-U',
    ...(own ? ['-m', '-n'] : []),
    ...['sh', '-c', 'echo ready; exec cat'],
  ]);
  const { pid } = holder;
  const words = [
    ...['nsenter', '-t', String(pid), '-U', '-S', '0', '-G', '0'],
    ...(own ? ['-m', '-n'] : []),
    ...['sh', '-ec'],
  ];
  const runIn = (script: string, stop?: AbortSignal): Promise<Outcome> => {
    const enter = cgroup === undefined ? [] : ['sh', '-ec', 'echo $$ > "$0/cgroup.procs"; exec "$@"', cgroup];
    const [file = '', ...args] = [...enter, ...words, script];
    return run(file, args, { env: ENVIRONMENT, ...(stop && { stop }) });
  };
  const container: DemoContainer = {
    pid,
    inum: 0,
    run: runIn,
    async succeed(script, stop) {
      const { code, stdout, stderr } = await runIn(script, stop);
      if (code !== 0) throw new Error(`in a container: ${script}: exit ${code}: ${stderr.trim()}`);
      return stdout.trim();
    },
    end: () => holder.stop('SIGKILL'),
  };
  try {
    await eventually('the namespaces are there', () => {
      if (holder.child.exitCode !== null) throw new Error(`unshare: ${holder.stderr().trim()}`);
      return holder.stdout().includes('ready');
    });
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${map}`, `0 ${idBase} ${IDS}`);
    if (cgroup !== undefined) writeFileSync(`${cgroup}/cgroup.procs`, String(pid));
    container.inum = Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/ns/user`))?.[1]);
    if (prepare !== undefined) await container.succeed(prepare);
    return container;
  } catch (error) {
    await container.end();
    throw error;
  }
}
