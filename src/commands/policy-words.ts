/** A config in words: what the agent will do, and what of it somebody may not have meant. */
import { existsSync } from 'node:fs';
import type { LoadedConfig } from '../config/load.js';
import { receiverRulesOf } from '../config/receiver-rule.js';
import type { Config } from '../config/schema.js';
import { HOOKS } from '../kernel/hooks.js';
import { outputWarnings, outputWords } from './output-words.js';
import { table } from './table.js';

export interface PolicyWords {
  /** By what they are about, in the order of an event's way. */
  policy: { about: string; words: string }[];
  warnings: string[];
}

export function describePolicy({ config, origins }: LoadedConfig): PolicyWords {
  return {
    policy: [
      { about: 'uevents', words: FILTER[config.filter.mode] },
      { about: 'scope', words: SCOPE[config.hide.scope] },
      { about: 'exempt', words: exempt(config) },
      { about: 'nodes', words: nodes(config) },
      { about: 'orphans', words: orphans(config) },
      { about: 'audit', words: audit(config) },
      { about: 'audit also', words: outputWords(config.audit) },
      { about: 'memory', words: memory(config) },
      { about: 'loopfs', words: loopfs(config) },
      {
        about: 'network',
        words: `metrics and health pages on ${config.http.address}, port ${config.http.port || 'of the kernel’s choice'}; nothing can be changed there`,
      },
      { about: 'control', words: `commands of root, over ${config.api.socket}` },
      {
        about: 'after its end',
        words: `programs, owners and what is recorded stay in ${config.pins.path}: hiding goes on`,
      },
      { about: 'set by', words: changed(origins) },
    ],
    warnings: warnings(config),
  };
}

export function renderPolicy({ policy, warnings: list }: PolicyWords): string {
  const lines = [table(policy.map(({ about, words }) => [about, words]))];
  for (const warning of list) lines.push(table([[`warning: ${warning}`]]));
  return lines.join('\n');
}

const FILTER: Record<Config['filter']['mode'], string> = {
  hide: 'of devices that a user namespace owns, the host’s udev and listeners of other containers get none; listeners of the owner and of its ancestors get all; the host’s own devices are not touched',
  observe: 'all are delivered; those that would be hidden are only counted',
  off: 'all are delivered, and no filter is attached',
};

const SCOPE: Record<Config['hide']['scope'], string> = {
  userns: 'what a rootful container owns is the host’s: it has no user namespace of its own',
  container:
    'rootful containers count as owners, too: processes of the initial user namespace whose pid and mount namespaces are not the host’s; not those in the host’s pid namespace, nor services with a mount namespace of their own',
};

function exempt({ receivers }: Config): string {
  const { allow } = receivers;
  return allow.length === 0
    ? 'no listener: receivers.allow is empty'
    : `listeners that meet ${allow.flatMap((entry) => receiverRulesOf(entry).map(({ text }) => text)).join(', ')} get everything`;
}

function nodes({ hide }: Config): string {
  return hide.devnode
    ? 'of devices to which a user namespace has attached a file are out of the host’s /dev until it lets go'
    : 'of all devices are in the host’s /dev: who scans it finds them';
}

function orphans({ reap }: Config): string {
  return REAPING[reap.mode].replace('GRACE', `${reap.grace_seconds} s`);
}

const REAPING: Record<Config['reap']['mode'], string> = {
  off: 'devices whose user namespace is gone stay as they are, hidden and counted',
  detach: 'devices whose user namespace is gone are detached after GRACE, if nothing uses them',
  'detach-and-remove':
    'devices whose user namespace is gone are detached after GRACE, if nothing uses them, and removed if it made them',
};

function audit({ audit: { path, kinds, max_line_bytes: most } }: Config): string {
  const place = path === '-' ? 'stdout' : path;
  if (kinds.length === 0) return `nothing is written to ${place}`;
  return `${kinds.map((kind) => KINDS[kind]).join(', ')}: a line each of at most ${most} bytes, to ${place}`;
}

const KINDS: Record<Config['audit']['kinds'][number], string> = {
  ioctl: 'every loop ioctl',
  uevent: 'every uevent with its verdict',
  life: 'every end of a device’s life',
  agent: 'what the agent itself does',
};

function memory({ limits, ring }: Config): string {
  return `owners of ${limits.devices} devices and ${limits.user_namespaces} user namespaces, ${limits.inflight} calls at one time, ${limits.recent_events} recent events, a ring of ${ring.size_bytes / 1024} KiB; what is more is counted as dropped`;
}

function loopfs({ loopfs: own }: Config): string {
  const served = own.serve ? 'served by the agent' : 'only if loopwarden loopfs serve runs';
  const offline = own.needs_agent ? 'none are made while no agent runs' : 'made without an agent, too';
  return `${served}: at most ${own.devices} devices, ${own.devices_per_userns} for a user namespace with those below it, numbered from ${own.first_number}; ${offline}`;
}

function changed(origins: LoadedConfig['origins']): string {
  const set = Object.entries(origins).filter(([, origin]) => origin !== 'default');
  return set.length === 0
    ? 'nobody: these are the defaults'
    : set.map(([key, origin]) => `${key} (${origin})`).join(', ');
}

const LOOPBACK = /^(127\.|::1$|0:0:0:0:0:0:0:1$)/;

function warnings({ filter, hide, reap, receivers, audit: log, http, limits, hooks }: Config): string[] {
  return [
    ...(filter.mode === 'off' ? ['filter.mode is off: the host’s udev opens containers’ devices'] : []),
    ...(hide.devnode && filter.mode !== 'hide'
      ? [`hide.devnode does nothing while filter.mode is ${filter.mode}`]
      : []),
    ...(reap.mode !== 'off' && !log.kinds.includes('agent')
      ? ['audit.kinds lacks agent: what is reaped is not written down']
      : []),
    ...receivers.allow
      .filter((entry) => entry.startsWith('/') && !existsSync(entry))
      .map((path) => `receivers.allow: there is no ${path} here`),
    ...receivers.allow
      .filter((entry) => entry.startsWith('userns:'))
      .map(
        (entry) => `receivers.allow: ${entry} is good until that user namespace ends, and then for nobody`,
      ),
    ...(log.kinds.includes('ioctl')
      ? []
      : ['audit.kinds lacks ioctl: who attached what is not written down']),
    ...(log.kinds.includes('agent')
      ? []
      : ['audit.kinds lacks agent: gaps and changes of the filter are not written down']),
    ...outputWarnings(log),
    ...(LOOPBACK.test(http.address)
      ? []
      : [`http.address is ${http.address}: whoever reaches it reads the metrics`]),
    ...(limits.recent_events === 0
      ? ['limits.recent_events is 0: loopwarden events shows nothing without --log']
      : []),
    ...HOOKS.filter(({ links }) => links.every(({ kind }) => hooks.avoid.includes(kind))).map(
      ({ name }) => `hooks.avoid leaves the hook ${name} no link: the agent will not start`,
    ),
  ];
}
