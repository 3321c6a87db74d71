/** Everything of a host that a package could leave behind: looked at before it is installed and after it was purged. */
import { command, host } from '../../support/shell.js';

export interface HostTraces {
  files: string[];
  mounts: string[];
  loops: string[];
  programs: string[];
  units: string[];
}

/** Folders that are a file system each: `find` does not go on into others. */
const ROOTS = ['/', '/run', '/dev', '/tmp', '/sys/fs/bpf', '/sys/fs/cgroup'];

/** What others write while the test runs: apt and dpkg about their own work, systemd about units, udevd about events, Prometheus. */
const OTHERS = [
  '/var/lib/dpkg/(status|status-old|available|lock|lock-frontend|triggers/.*)',
  '/var/log/(apt/.*|dpkg\\.log)',
  '/var/(cache|lib)/apt/.*',
  '/var/cache/debconf(/.*)?',
  '/var/lib/systemd/(random-seed|timers/.*)',
  '/var/lib/prometheus/.*',
  '/run/(udev|log/journal|systemd/(journal|units|transient|propagate/prometheus\\.service))(/.*)?',
  // Who starts units waits for passwords; and the loop driver stays loaded, with udev's link to its control.
  '/run/systemd/ask-password-block(/.*)?',
  '/dev/char/10:237',
  // Of the test itself, and of mkfs and mount, which it calls.
  '/run/(vm|blkid/.*|blkid|mount/.*|mount)',
  '/sys/fs/cgroup/.*/(prometheus|loopwarden-test|systemd-udevd)\\.service/.*',
];

export async function traceHost(): Promise<HostTraces> {
  const others = new RegExp(`^(${OTHERS.join('|')})$`);
  const lines = async (script: string): Promise<string[]> =>
    (await host(script)).split('\n').filter(Boolean).sort();
  // A folder's size is that of its list of names; files below /etc are told by what they say.
  const found = await lines(`
    find ${ROOTS.join(' ')} -xdev -ignore_readdir_race \\( -type d -printf '%p dir %m %U:%G\\n' -o -type l -printf '%p -> %l\\n' \\
      -o -printf '%p %y %m %U:%G\\n' \\)
    find /etc -xdev -type f -exec sha256sum {} + | sed -E 's/^(\\S+)  (.*)$/\\2 sum \\1/'`);
  return {
    files: found.filter((line) => !others.test(line.replace(/ (dir|->|[a-z]|sum) .*$/, ''))),
    mounts: await lines('cut -d" " -f4- /proc/1/mountinfo'),
    loops: await lines('ls /sys/block | grep loop || true; losetup --list --noheadings --raw'),
    // systemd loads some of its own for each unit that asks for them.
    programs: (await lines('bpftool prog show')).flatMap(
      (line) => /^\d+: .* name (?!sd_)(\S+)/.exec(line)?.[1] ?? [],
    ),
    units: await unitFiles(),
  };
}

async function unitFiles(): Promise<string[]> {
  const { stdout } = await command('systemctl', ['list-unit-files', '--full', '--no-legend', '--plain']);
  return stdout.split('\n').filter(Boolean).sort();
}

/** What one has and the other has not, with a sign before it; empty if nothing. */
export function differences(before: HostTraces, after: HostTraces): string[] {
  return (Object.keys(before) as (keyof HostTraces)[]).flatMap((kind) => {
    const [old, now] = [new Set(before[kind]), new Set(after[kind])];
    return [
      ...after[kind].filter((each) => !old.has(each)).map((each) => `+ ${kind}: ${each}`),
      ...before[kind].filter((each) => !now.has(each)).map((each) => `- ${kind}: ${each}`),
    ];
  });
}

/** Removes the loop devices that the tests have made; losetup cannot. */
export async function removeLoops(): Promise<void> {
  await host(`
    for each in /sys/block/loop*; do
      perl -e 'open C, "+<", "/dev/loop-control"; ioctl(C, 0x4C81, $ARGV[0] + 0) or die "LOOP_CTL_REMOVE: $!"' "\${each#/sys/block/loop}"
    done
    udevadm settle`);
}
