/** The closed label sets of the metrics: the enums of bpf/event.h, and those of the agent's own tables. */
import { OWNER_CLASSES } from '../devices/owners.js';
import {
  DROP_REASON_NAMES,
  EVENT_KIND_NAMES,
  IOCTL_RESULT_NAMES,
  LOOP_COMMAND_NAMES,
  RULE,
  RULE_NAMES,
  UEVENT_ACTION_NAMES,
  UEVENT_SUBSYSTEM_NAMES,
  VERDICT_NAMES,
} from '../kernel/abi.js';
import { hookLinkPairs } from '../kernel/hooks.js';
import { RECEIVER_CLASSES } from '../kernel/receiver-class.js';
import { HOST_RECEIVER_KINDS } from '../kernel/receivers.js';
import { REFUSAL_LIMITS } from '../loopfs/quota.js';
import { REAP_RESULTS } from '../policy/reap-modes.js';
import { OUTPUT_RESULTS, type OutputName } from './audit-output.js';
import { HOST_ACCESSES } from './host-accesses.js';
import { foldLabels } from './label-fold.js';
import type { MetricsLabels } from './metrics-source.js';

export const DEVICE_STATES = ['bound', 'unbound'] as const;
const FILTER_MODES = ['off', 'observe', 'hide'];
/** The maps whose entries stay: label and map. */
export const TABLES = { owners: 'owners', user_namespaces: 'userns' } as const;

/** Numbers of the enum become label values in that order. */
const lowerNames = (names: ReadonlyMap<number, string>): string[] =>
  [...names.values()].map((name) => name.toLowerCase());

/** `ok` is no errno. */
const RESULTS = [...IOCTL_RESULT_NAMES.values()].map((name) =>
  name === 'OK' || name === 'OTHER' ? name.toLowerCase() : name,
);

/** The commands of the old struct do the same; the audit log tells them apart. */
export const COMMANDS = foldLabels([...LOOP_COMMAND_NAMES.values()], {
  LOOP_SET_STATUS: 'LOOP_SET_STATUS64',
  LOOP_GET_STATUS: 'LOOP_GET_STATUS64',
});

/** The driver core sends these of no loop device, and of others they are nobody's question here. */
export const ACTIONS = foldLabels(lowerNames(UEVENT_ACTION_NAMES), {
  move: 'other',
  online: 'other',
  offline: 'other',
  bind: 'other',
  unbind: 'other',
});

export function labelsOf(outputs: readonly OutputName[]): MetricsLabels {
  return {
    commands: COMMANDS.labels,
    results: RESULTS,
    deviceStates: DEVICE_STATES,
    ownerClasses: OWNER_CLASSES,
    subsystems: lowerNames(UEVENT_SUBSYSTEM_NAMES),
    actions: ACTIONS.labels,
    verdicts: lowerNames(VERDICT_NAMES),
    rules: lowerNames(RULE_NAMES),
    // verdict_of in bpf/verdict.bpf.h.
    ruleVerdicts: [...RULE_NAMES.keys()].map((rule) => (rule >= RULE.CREATOR ? 'hide' : 'deliver')),
    eventKinds: lowerNames(EVENT_KIND_NAMES),
    dropReasons: lowerNames(DROP_REASON_NAMES),
    hooks: hookLinkPairs(),
    receiverClasses: RECEIVER_CLASSES,
    hostReceiverKinds: HOST_RECEIVER_KINDS,
    hostAccesses: HOST_ACCESSES,
    reapResults: REAP_RESULTS,
    tables: Object.keys(TABLES),
    filterModes: FILTER_MODES,
    loopfsStates: DEVICE_STATES,
    refusalLimits: REFUSAL_LIMITS,
    outputs,
    outputResults: OUTPUT_RESULTS,
  };
}
