/**
 * An event in the Elastic Common Schema (https://www.elastic.co/docs/reference/ecs). What ECS has no field for is below `loopwarden`,
 * under the names of docs/audit-log.md, so nothing is lost.
 */
import { VERSION } from '../version.js';
import type { AuditEvent } from './audit-event.js';
import { fieldsWithout, isFailed, type LineFields } from './line-fields.js';
import { callerStartMs } from './line-time.js';
import { lineWords } from './line-words.js';

export const ECS_VERSION = '9.4.0';

/** `event.type` of what begins or ends the use of a device, or changes it; `info` is everything else. */
const TYPES: Readonly<Record<string, string>> = {
  LOOP_CONFIGURE: 'start',
  LOOP_SET_FD: 'start',
  LOOP_CLR_FD: 'end',
  release: 'end',
  LOOP_CHANGE_FD: 'change',
  LOOP_SET_STATUS: 'change',
  LOOP_SET_STATUS64: 'change',
  LOOP_SET_CAPACITY: 'change',
  LOOP_SET_DIRECT_IO: 'change',
  LOOP_SET_BLOCK_SIZE: 'change',
  LOOP_CTL_ADD: 'change',
  LOOP_CTL_REMOVE: 'change',
  LOOP_CTL_GET_FREE: 'change',
  // The agent's own.
  start: 'start',
  stop: 'end',
  filter_off: 'change',
  filter_observe: 'change',
  filter_hide: 'change',
};

const MAPPED = [
  'time',
  'command',
  'caller.pid',
  'caller.tid',
  'caller.comm',
  'caller.uid',
  'caller.gid',
  'container.id',
  'container.name',
  'container.runtime',
  'container.pod',
  'backing.path',
  'backing.inode',
  'rule',
];

/** Paths of what has a field of its own; numbers that are too large for one stay where they are. */
function mappedBy({ seq, duration_ns: duration }: LineFields): ReadonlySet<string> {
  const paths = new Set(MAPPED);
  if (typeof seq === 'number') paths.add('seq');
  if (typeof duration === 'number') paths.add('duration_ns');
  return paths;
}

export function ecsEvent(event: AuditEvent): unknown {
  const { fields, host } = event;
  const { backing, rule } = fields;
  return {
    '@timestamp': fields.time,
    ecs: { version: ECS_VERSION },
    message: lineWords(fields),
    event: eventOf(event),
    log: { level: isFailed(fields) ? 'warning' : 'info', logger: 'loopwarden.audit' },
    agent: { type: 'loopwarden', version: VERSION },
    host: { name: host, hostname: host, os: { type: 'linux' } },
    ...(isFailed(fields) && { error: { code: fields.result } }),
    ...processOf(event),
    ...containerOf(fields),
    ...(backing && {
      file: {
        ...(backing.path !== undefined && { path: backing.path }),
        ...(backing.inode !== undefined && { inode: String(backing.inode) }),
      },
    }),
    ...(rule !== undefined && { rule: { name: rule } }),
    loopwarden: fieldsWithout(fields, mappedBy(fields)),
  };
}

function eventOf({ fields, kind, uid }: AuditEvent): Record<string, unknown> {
  const { command = kind, result, seq, duration_ns: duration } = fields;
  const outcome = result === undefined ? 'unknown' : isFailed(fields) ? 'failure' : 'success';
  const type = kind !== 'uevent' && Object.hasOwn(TYPES, command) ? (TYPES[command] ?? 'info') : 'info';
  return {
    kind: 'event',
    category: [kind === 'agent' ? 'host' : 'driver'],
    type: [type],
    action: command,
    outcome,
    id: uid,
    module: 'loopwarden',
    dataset: 'loopwarden.audit',
    ...(typeof seq === 'number' && { sequence: seq }),
    ...(typeof duration === 'number' && { duration }),
  };
}

function processOf({ fields, time }: AuditEvent): Record<string, unknown> {
  const { caller } = fields;
  if (caller === undefined) return {};
  const { pid, tid, comm, uid, gid } = caller;
  const started = callerStartMs(fields, time);
  const thread = { ...(tid !== undefined && { id: tid }), ...(comm !== undefined && { name: comm }) };
  return {
    process: {
      ...(pid !== undefined && { pid }),
      ...(comm !== undefined && { name: comm }),
      ...(started !== undefined && { start: new Date(started).toISOString() }),
      thread,
      ...(uid !== undefined && { user: { id: String(uid) } }),
      ...(gid !== undefined && { group: { id: String(gid) } }),
    },
  };
}

function containerOf({ container }: LineFields): Record<string, unknown> {
  if (container === undefined) return {};
  const { id, name, runtime, pod } = container;
  const known = {
    ...(id !== undefined && { id }),
    ...(name !== undefined && { name }),
    ...(runtime !== undefined && { runtime }),
  };
  return {
    container: known,
    ...(pod !== undefined && {
      orchestrator: { type: 'kubernetes', resource: { type: 'pod', id: pod } },
    }),
  };
}
