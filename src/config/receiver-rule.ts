/** What an entry of `receivers.allow` says: which listeners get everything. */
import { PRESET_NAMES, PRESETS, type PresetName } from './receiver-presets.js';

/** `text`: as it stands in the config. */
export type ReceiverRule = { text: string } & (
  | { kind: 'executable'; path: string }
  | { kind: 'unit'; name: string }
  | { kind: 'cgroup'; path: string }
  | { kind: 'userns'; number: bigint }
  | { kind: 'container'; name: string }
);

/** The kinds with a word before a colon; what has none is an executable's path. */
export const RULE_PREFIXES = ['unit', 'cgroup', 'userns', 'container', 'preset'] as const;

const PATH_MAX = 4095;
/** systemd.unit(5); processes live in services and scopes only. */
const UNIT = /^[A-Za-z0-9:_.\\@-]{1,247}\.(service|scope)$/;
/** In Kubernetes NAMESPACE/POD/CONTAINER; `*` stands for any end of a component after the first. */
const CONTAINER = /^[^*\0\n/]{1,255}(\/[^*\0\n/]{0,255}\*?){0,2}$/;
/** PROC_USER_INIT_INO, and USERNS_INITIAL of bpf/event.h. */
const HOSTS_USERNS: ReadonlySet<bigint> = new Set([0xeffffffdn, 3n]);

/** The rule, those of a preset, or the reason why there is none. */
export function parseReceiverRules(text: string): ReceiverRule[] | string {
  if (text.startsWith('/')) return parsePath(text);
  const colon = text.indexOf(':');
  const value = text.slice(colon + 1);
  switch (colon === -1 ? '' : text.slice(0, colon)) {
    case 'unit':
      return UNIT.test(value)
        ? [{ kind: 'unit', name: value, text }]
        : 'must be unit: and the name of a service or scope of the host’s systemd, as in unit:incus.service';
    case 'cgroup':
      return isCgroupPath(value)
        ? [{ kind: 'cgroup', path: value, text }]
        : 'must be cgroup: and an absolute path below the root, as the host has it, without . and ..';
    case 'userns':
      return parseUserns(text, value);
    case 'container':
      return CONTAINER.test(value)
        ? [{ kind: 'container', name: value, text }]
        : 'must be container: and a name, in Kubernetes NAMESPACE/POD/CONTAINER, with * only at the end of POD and CONTAINER';
    case 'preset':
      return isPreset(value)
        ? rulesOfPreset(value, text)
        : `must be one of ${PRESET_NAMES.map((name) => `preset:${name}`).join(', ')}`;
    default:
      return `must be an absolute path, or begin with ${RULE_PREFIXES.map((prefix) => `${prefix}:`).join(', ')}`;
  }
}

/** Of a text that the config has taken. */
export function receiverRulesOf(text: string): ReceiverRule[] {
  const parsed = parseReceiverRules(text);
  if (typeof parsed === 'string') throw new TypeError(`${text}: ${parsed}`);
  return parsed;
}

function parsePath(text: string): ReceiverRule[] | string {
  const valid = !text.includes('\0') && text.length <= PATH_MAX;
  return valid
    ? [{ kind: 'executable', path: text, text }]
    : 'must be an absolute path of at most 4095 bytes';
}

function isCgroupPath(path: string): boolean {
  const parts = path.split('/').slice(1);
  return (
    path.startsWith('/') &&
    path.length <= PATH_MAX &&
    parts.every((part) => !['', '.', '..'].includes(part) && !/[\0\n]/.test(part))
  );
}

function parseUserns(text: string, value: string): ReceiverRule[] | string {
  if (!/^[1-9]\d{0,18}$/.test(value))
    return 'must be userns: and a number, as loopwarden devices shows it in the column USERNS';
  const number = BigInt(value);
  return HOSTS_USERNS.has(number)
    ? 'must not be the host’s own user namespace: its udev would get everything'
    : [{ kind: 'userns', number, text }];
}

/** What the rule is told by is the preset's own text, too. */
function rulesOfPreset(name: PresetName, text: string): ReceiverRule[] {
  return PRESETS[name]
    .flatMap((rule) => receiverRulesOf(rule))
    .map((rule) => ({ ...rule, text: `${text} (${rule.text})` }));
}

function isPreset(name: string): name is PresetName {
  return Object.hasOwn(PRESETS, name);
}
