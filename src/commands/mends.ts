/** What `doctor --fix` can put right without a risk to anything else: each is looked for, told, and mended once. */
import { execFile } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  openSync,
  statfsSync,
  unlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Config } from '../config/schema.js';
import { reasonOf } from '../errors.js';
import { LOOP_DRIVER } from '../kernel/loop-driver.js';
import { BPFFS_MAGIC, BPFFS_MOUNT_POINT } from '../kernel/pins.js';
import { makeFolder } from '../sinks/make-folder.js';
import { isAnswered } from '../web/control-socket.js';

export interface Ailment {
  what: string;
  /** What --fix does about it. */
  remedy: string;
}

export interface MendReport extends Ailment {
  /** Null as long as nothing was tried. */
  mended: boolean | null;
  /** Why it could not be mended. */
  reason?: string;
}

interface Mend extends Ailment {
  apply(): Promise<void> | void;
}

export interface Patient {
  config: Pick<Config, 'pins' | 'audit' | 'api' | 'loopfs'>;
  /** The config's file, if there is one. */
  configPath: string;
  mountBpffs(folder: string): void;
}

/** Looks, and with `fix` mends; the host's devices are not touched, not even opened. Nothing is thrown. */
export async function mendHost(patient: Patient, fix: boolean): Promise<MendReport[]> {
  const reports: MendReport[] = [];
  for (const find of SEARCHES) {
    for (const { what, remedy, apply } of await find(patient)) {
      if (fix) reports.push({ what, remedy, ...(await attempt(apply)) });
      else reports.push({ what, remedy, mended: null });
    }
  }
  return reports;
}

async function attempt(apply: Mend['apply']): Promise<Pick<MendReport, 'mended' | 'reason'>> {
  try {
    await apply();
    return { mended: true };
  } catch (error) {
    return { mended: false, reason: reasonOf(error) };
  }
}

const SEARCHES: readonly ((patient: Patient) => Mend[] | Promise<Mend[]>)[] = [
  findUnmounted,
  findNoDriver,
  findOpenConfig,
  findNoLogFolder,
  findStaleSockets,
];

/** The agent mounts it, too; but not where its unit forbids it to. */
function findUnmounted({ config, mountBpffs }: Patient): Mend[] {
  const folder = dirname(config.pins.path);
  if (folder !== BPFFS_MOUNT_POINT || !existsSync(folder) || statfsSync(folder).type === BPFFS_MAGIC)
    return [];
  return [
    {
      what: `no BPF file system is mounted on ${folder}`,
      remedy: `mount -t bpf bpf ${folder}`,
      apply: () => mountBpffs(folder),
    },
  ];
}

function findNoDriver(): Mend[] {
  if (existsSync(LOOP_DRIVER)) return [];
  return [
    {
      what: 'the loop driver is not loaded',
      remedy: 'modprobe loop',
      async apply() {
        const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
        await promisify(execFile)('modprobe', ['loop'], { env });
      },
    },
  ];
}

const OTHERS_MAY_WRITE = 0o022;

/** Whoever may change the config has the agent, which is root, write where he likes. */
function findOpenConfig({ configPath }: Patient): Mend[] {
  let fd: number;
  try {
    fd = openSync(configPath, 'r');
  } catch {
    return [];
  }
  const { mode, uid, gid } = fstatSync(fd);
  closeSync(fd);
  const isOpen = (mode & OTHERS_MAY_WRITE) !== 0;
  if (!isOpen && uid === 0) return [];
  const whose = uid === 0 ? 'others may write to it' : `uid ${uid} may change it`;
  return [
    {
      what: `the config ${configPath} is not root’s alone: ${whose}`,
      remedy: `chown root and chmod go-w ${configPath}`,
      apply() {
        // The descriptor's file, whatever the name leads to by then.
        const file = openSync(configPath, 'r');
        try {
          fchownSync(file, 0, gid);
          fchmodSync(file, mode & 0o7777 & ~OTHERS_MAY_WRITE);
        } finally {
          closeSync(file);
        }
      },
    },
  ];
}

function findNoLogFolder({ config }: Patient): Mend[] {
  const folder = dirname(config.audit.path);
  if (config.audit.path === '-' || existsSync(folder)) return [];
  return [
    {
      what: `the audit log’s folder ${folder} is missing`,
      remedy: `mkdir -m 0750 ${folder}`,
      apply: () => makeFolder(folder),
    },
  ];
}

async function findStaleSockets({ config }: Patient): Promise<Mend[]> {
  const mends: Mend[] = [];
  for (const path of [config.api.socket, config.loopfs.socket]) {
    if (!(await isStale(path))) continue;
    mends.push({
      what: `nobody answers on the socket ${path}: who made it was killed`,
      remedy: `rm ${path}`,
      async apply() {
        // Somebody may have begun to answer meanwhile.
        if (await isStale(path)) unlinkSync(path);
      },
    });
  }
  return mends;
}

async function isStale(path: string): Promise<boolean> {
  try {
    return lstatSync(path).isSocket() && !(await isAnswered(path));
  } catch {
    return false;
  }
}
