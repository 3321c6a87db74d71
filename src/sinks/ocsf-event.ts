/**
 * An event in the Open Cybersecurity Schema Framework (https://schema.ocsf.io). Calls of the loop driver, uevents and the ends of
 * lives are Kernel Activity; what the agent itself does is Application Lifecycle. What OCSF has no place for is `unmapped`, under
 * the names of docs/audit-log.md, so nothing is lost.
 */
import { VERSION } from '../version.js';
import type { AuditEvent } from './audit-event.js';
import { fieldsWithout, isFailed, type LineFields } from './line-fields.js';
import { callerStartMs } from './line-time.js';
import { lineWords } from './line-words.js';

export const OCSF_VERSION = '1.8.0';

interface OcsfClass {
  category: number;
  categoryName: string;
  class: number;
  className: string;
}
const KERNEL: OcsfClass = {
  category: 1,
  categoryName: 'System Activity',
  class: 1003,
  className: 'Kernel Activity',
};
const LIFECYCLE: OcsfClass = {
  category: 6,
  categoryName: 'Application Activity',
  class: 6002,
  className: 'Application Lifecycle',
};

type Activity = readonly [id: number, name: string];
const UEVENT_ACTIVITIES: Readonly<Record<string, Activity>> = { add: [1, 'Create'], remove: [3, 'Delete'] };
const AGENT_ACTIVITIES: Readonly<Record<string, Activity>> = {
  start: [3, 'Start'],
  stop: [4, 'Stop'],
  filter_hide: [6, 'Enable'],
  filter_off: [7, 'Disable'],
};
const INVOKE: Activity = [4, 'Invoke'];
/** Named by the command then. */
const OTHER = 99;

const SYSTEM_CALL = { type_id: 2, type: 'System Call' } as const;
const BLOCK_DEVICE = { type_id: OTHER, type: 'Block Device' } as const;
const PRODUCT = { name: 'loopwarden', vendor_name: 'loopwarden', version: VERSION };

export function ocsfEvent(event: AuditEvent): unknown {
  const { fields, time, uid, kind } = event;
  const of = kind === 'agent' ? LIFECYCLE : KERNEL;
  const [activity, activityName] = activityOf(event);
  return {
    category_uid: of.category,
    category_name: of.categoryName,
    class_uid: of.class,
    class_name: of.className,
    activity_id: activity,
    activity_name: activityName,
    type_uid: of.class * 100 + activity,
    time: time.ms,
    ...outcomeOf(fields),
    message: lineWords(fields),
    metadata: {
      version: OCSF_VERSION,
      product: PRODUCT,
      profiles: [...(kind === 'agent' ? ['host'] : []), ...(fields.container ? ['container'] : [])],
      uid,
      log_name: 'audit',
      original_time: fields.time,
      ...(typeof fields.seq === 'number' && { sequence: fields.seq }),
    },
    device: {
      type_id: 0,
      type: 'Unknown',
      hostname: event.host,
      os: { name: 'Linux', type_id: 200, type: 'Linux' },
    },
    ...(kind === 'agent' ? { app: PRODUCT } : { kernel: resourceOf(event) }),
    ...((kind !== 'agent' || fields.caller) && { actor: actorOf(event) }),
    unmapped: fieldsWithout(fields, mappedBy(event)),
  };
}

function activityOf({ kind, fields: { command = kind } }: AuditEvent): Activity {
  if (kind === 'ioctl') return INVOKE;
  const known = kind === 'agent' ? AGENT_ACTIVITIES : kind === 'uevent' ? UEVENT_ACTIVITIES : {};
  return Object.hasOwn(known, command) ? (known[command] ?? [OTHER, command]) : [OTHER, command];
}

function outcomeOf(fields: LineFields): Record<string, unknown> {
  const { result } = fields;
  const failed = isFailed(fields);
  return {
    severity_id: failed ? 2 : 1,
    severity: failed ? 'Low' : 'Informational',
    ...(result !== undefined && {
      status_id: failed ? 2 : 1,
      status: failed ? 'Failure' : 'Success',
      status_code: result,
    }),
  };
}

/** What was called, or what it happened to. */
function resourceOf({ kind, fields: { command = kind, device } }: AuditEvent): Record<string, unknown> {
  const path = device?.name !== undefined && { path: `/dev/${device.name}` };
  if (kind === 'ioctl') return { name: command, ...SYSTEM_CALL, system_call: 'ioctl', ...path };
  return { name: device?.name ?? command, ...BLOCK_DEVICE, ...path };
}

function actorOf({ fields, time }: AuditEvent): Record<string, unknown> {
  const { caller = {}, container } = fields;
  const started = callerStartMs(fields, time);
  const user = caller.uid !== undefined && { user: { uid: String(caller.uid) } };
  const process = {
    ...(caller.pid !== undefined && { pid: caller.pid }),
    ...(caller.tid !== undefined && { ptid: caller.tid }),
    ...(caller.comm !== undefined && { name: caller.comm }),
    ...(started !== undefined && { created_time: started }),
    ...user,
    ...containerOf(container),
  };
  // Only of a process of which it is known which.
  return caller.pid === undefined ? { app_name: caller.comm ?? 'unknown', ...user } : { process, ...user };
}

function containerOf(container: LineFields['container']): { container?: Record<string, unknown> } {
  const { id, name, runtime, pod } = container ?? {};
  if (id === undefined && name === undefined) return {};
  return {
    container: {
      ...(id !== undefined && { uid: id }),
      ...(name !== undefined && { name }),
      ...(runtime !== undefined && { runtime }),
      ...(isUuid(pod) && { pod_uuid: pod }),
    },
  };
}

const MAPPED = ['time', 'command', 'result'];
const OF_CALLER = ['caller.pid', 'caller.tid', 'caller.comm', 'caller.uid'];
const OF_CONTAINER = ['container.id', 'container.name', 'container.runtime'];

/** Paths of what has a place of its own; what it could not be put into stays. */
function mappedBy({ kind, fields: { seq, caller, container } }: AuditEvent): ReadonlySet<string> {
  const paths = new Set(MAPPED);
  if (typeof seq === 'number') paths.add('seq');
  if (kind !== 'agent') paths.add('device.name');
  if (caller?.pid !== undefined) for (const path of OF_CALLER) paths.add(path);
  if (caller?.pid !== undefined && (container?.id !== undefined || container?.name !== undefined)) {
    for (const path of OF_CONTAINER) paths.add(path);
    if (isUuid(container.pod)) paths.add('container.pod');
  }
  return paths;
}

/** The kubelet's static pods have other uids. */
function isUuid(text: string | undefined): boolean {
  return text !== undefined && /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text);
}
