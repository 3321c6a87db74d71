/** `loopwarden loopfs …`: containers' own loop devices. */

import { createError, EXIT, type ExitCode } from '../errors.js';
import { deviceRuleTexts } from '../loopfs/device-rules.js';
import type { HostReport } from '../loopfs/host-instance.js';
import type { InstanceReport, ReapReport } from '../loopfs/reports.js';
import type { LoopfsProcess } from '../loopfs-process.js';
import { createServiceNotifier, type ServiceNotifier } from '../notify/service-notifier.js';
import { createControlClient } from '../web/control-client.js';
import type { Command, CommandContext, CommandGroup } from './command.js';
import { table, terminalColumns } from './table.js';

type AnyReport = InstanceReport | HostReport;

const INSTANCES = '/api/v1/instances';

const serve: Command = {
  name: 'serve',
  summary: 'serve the instances in the foreground, until SIGTERM; they are left to the next one',
  async action({ loaded, print }): Promise<ExitCode> {
    const stop = new AbortController();
    const stopped = new Promise<void>((resolve) => {
      stop.signal.addEventListener('abort', () => resolve());
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
    const { loopfs, notifier } = await start(loaded.config, stop.signal);
    print(`loopwarden loopfs is serving; socket ${loaded.config.loopfs.socket}`);
    notifier.ready(`socket ${loaded.config.loopfs.socket}`);
    await stopped;
    notifier.stopping();
    await loopfs.stop();
    return EXIT.ok;
  },
};

interface Service {
  loopfs: LoopfsProcess;
  notifier: ServiceNotifier;
}

/** Loaded only here: the other commands start faster without pino and the native module. */
async function start(config: CommandContext['loaded']['config'], stop: AbortSignal): Promise<Service> {
  const [{ dropCapabilities }, { loadLoopfsModule }, { startLoopfs }, { createAgentLog }, { loadNative }] =
    await Promise.all([
      import('../loopfs/capabilities.js'),
      import('../loopfs/native.js'),
      import('../loopfs-process.js'),
      import('../sinks/agent-log.js'),
      import('../kernel/native.js'),
    ]);
  if (process.geteuid?.() === 0) dropCapabilities(loadLoopfsModule());
  const log = createAgentLog({ level: config.log.level });
  // Only now: the process before had the same to say.
  const notifier = createServiceNotifier({
    native: loadNative(),
    env: process.env,
    onError: (reason) => log.warn({ reason }, 'the service manager cannot be told'),
  });
  return { loopfs: await startLoopfs(config, log, { stop }), notifier };
}

const create: Command = {
  name: 'create',
  argument: 'NAME',
  summary: 'make an instance for a container, or the host itself',
  options: [
    { flags: '--host', description: 'for the host: all devices that are in no instance' },
    { flags: '--uevents', description: 'tell the container of its devices by uevents' },
    { flags: '--max <n>', description: 'most devices (default: 64)' },
    { flags: '--uid-base <uid>', description: "the host's uid of the container's root (default: 0)" },
    { flags: '--gid-base <gid>', description: 'the same for its group (default: that of --uid-base)' },
  ],
  async action(context): Promise<ExitCode> {
    const { args, options, json, print } = context;
    const wanted = {
      name: args[0],
      max: numberOption(options, 'max'),
      uidBase: numberOption(options, 'uidBase'),
      gidBase: numberOption(options, 'gidBase'),
      ...(options.host === true ? { host: true } : {}),
      ...(options.uevents === true ? { uevents: true } : {}),
    };
    const report = (await clientOf(context).request('POST', INSTANCES, wanted)) as AnyReport;
    const where = report.state === 'host' ? `is on ${report.mountPoint}` : 'waits for its container';
    print(json ? report : `instance ${report.name} ${where}`);
    return EXIT.ok;
  },
};

const attach: Command = {
  name: 'attach',
  argument: 'NAME',
  summary: 'place an instance into the container of a process',
  options: [{ flags: '--pid <pid>', description: 'a process of the container (required)' }],
  async action(context): Promise<ExitCode> {
    const { args, options, json, print } = context;
    const body = { pid: numberOption(options, 'pid') };
    const path = `${INSTANCES}/${encodeURIComponent(args[0] ?? '')}/attach`;
    const report = (await clientOf(context).request('POST', path, body)) as InstanceReport;
    print(json ? { ...report, deviceRules: deviceRuleTexts() } : attachedText(report));
    return EXIT.ok;
  },
};

/** The rules belong to whoever made the container's cgroup, and only there they can be changed. */
function attachedText({ name, container }: InstanceReport): string {
  const { oci, docker, lxc, nspawn } = deviceRuleTexts();
  return [
    `instance ${name} is in the container of process ${container?.pid}`,
    'If opening a device is refused there, its device cgroup lacks these rules:',
    `  OCI config.json   ${oci}`,
    `  docker, podman    ${docker}`,
    `  lxc               ${lxc.replaceAll('\n', '\n                    ')}`,
    `  systemd-nspawn    ${nspawn.replaceAll('\n', '\n                    ')}`,
  ].join('\n');
}

const list: Command = {
  name: 'list',
  summary: 'list the instances',
  async action(context): Promise<ExitCode> {
    const instances = (await clientOf(context).request('GET', INSTANCES)) as AnyReport[];
    context.print(context.json ? instances : render(instances));
    return EXIT.ok;
  },
};

const detach: Command = {
  name: 'detach',
  argument: 'NAME',
  summary: 'end an instance: its devices are detached and removed',
  async action(context): Promise<ExitCode> {
    const { args, json, print } = context;
    const path = `${INSTANCES}/${encodeURIComponent(args[0] ?? '')}`;
    const report = (await clientOf(context).request('DELETE', path)) as ReapReport;
    const left = report.left.map(({ number, code }) => `loop${number} (${code})`).join(', ');
    const removed = `instance ${report.name} has ended; ${report.removed.length} devices removed`;
    print(json ? report : left === '' ? removed : `${removed}, tried again later: ${left}`);
    return report.left.length === 0 ? EXIT.ok : EXIT.no;
  },
};

const rescan: Command = {
  name: 'rescan',
  argument: 'DEVICE',
  summary: 'in a container: read the partition table of one of its devices anew',
  async action({ args, json, print }): Promise<ExitCode> {
    const { rescanDevice } = await import('../loopfs/container-client.js');
    const device = args[0] ?? '';
    rescanDevice(device);
    if (json) print({ device });
    return EXIT.ok;
  },
};

export const loopfs: CommandGroup = {
  name: 'loopfs',
  summary: 'give containers loop devices of their own',
  commands: [serve, create, attach, list, detach, rescan],
};

function clientOf({ loaded }: CommandContext) {
  return createControlClient(loaded.config.loopfs.socket, 'ERR_LOOPFS_NOT_RUNNING');
}

function numberOption(options: Readonly<Record<string, unknown>>, key: string): number | undefined {
  const text = options[key];
  if (text === undefined) return undefined;
  if (typeof text === 'string' && /^\d{1,10}$/.test(text)) return Number(text);
  throw createError('ERR_USAGE', { reason: `${key} must be a whole number, not "${String(text)}"` });
}

const HEAD = ['NAME', 'STATE', 'PID', 'UID', 'GID', 'DEVICES', 'BOUND', 'MAX'];

function render(instances: readonly AnyReport[]): string {
  const rows = instances.map(({ name, state, container, uidBase, gidBase, devices, max }) => [
    name,
    state,
    String(container?.pid ?? '-'),
    String(uidBase),
    String(gidBase),
    String(devices.length),
    String(devices.filter(({ bound }) => bound).length),
    String(max ?? '-'),
  ]);
  return table([HEAD, ...rows], terminalColumns());
}
