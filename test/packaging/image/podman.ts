/** Podman with the store that run.sh has built the image in. */
import { readFileSync } from 'node:fs';
import { CGROUPS } from '../../support/oci-bundle.js';
import { command, type Outcome, succeed } from '../../support/shell.js';

const WORDS = (process.env.LOOPWARDEN_TEST_PODMAN ?? '').split(' ').filter(Boolean);

export interface Podman {
  try(...args: readonly string[]): Promise<Outcome>;
  /** Its output. @throws if it fails */
  run(...args: readonly string[]): Promise<string>;
}

export const podman = podmanBehind([]);

/** As on a host that has cgroups v2 only: with a cgroup namespace for each container. */
export const podmanOfCgroup2 = podmanBehind(['unshare', '-m', 'sh', '-c', `${CGROUPS[2]}; exec "$@"`, 'sh']);

function podmanBehind(before: readonly string[]): Podman {
  const [file = '', ...words] = [...before, ...WORDS];
  return {
    try: (...args) => command(file, [...words, ...args]),
    run: (...args) => succeed(file, [...words, ...args]),
  };
}

/**
 * What this machine cannot give, in a sandbox that has not all capabilities itself: Podman would raise limits, which no kubelet asks for, and
 * a runtime refuses to add a capability that it lacks.
 */
export function withinMeans(options: readonly string[]): string[] {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = (name: string): number =>
    Number(new RegExp(`^${name} +\\S+ +(\\d+)`, 'm').exec(limits)?.[1] ?? 1024);
  const processes = Math.min(hard('Max processes'), 32_768);
  const bounding = BigInt(
    `0x${/^CapBnd:\t(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`,
  );
  const lacksResource = (bounding & (1n << CAP_SYS_RESOURCE)) === 0n;
  return [
    `--ulimit=nofile=${hard('Max open files')}:${hard('Max open files')}`,
    `--ulimit=nproc=${processes}:${processes}`,
    ...options.filter((option) => !(lacksResource && option === '--cap-add=SYS_RESOURCE')),
  ];
}

const CAP_SYS_RESOURCE = 24n;
