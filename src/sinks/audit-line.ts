/**
 * Writes an audit record as one line of JSON, fields in the contract's order, absent parts left out.
 *
 * By hand, since an ioctl storm makes hundreds of thousands of lines a second: concatenation costs a fraction of
 * an object serialiser (bench/audit.ts). Adding a field means adding it here, in audit-record.ts, in line-fields.ts and in
 * docs/audit-log.md.
 */
import type {
  AuditAggregate,
  AuditBacking,
  AuditCaller,
  AuditContainer,
  AuditDevice,
  AuditGap,
  AuditLoopConfig,
  AuditOwner,
  AuditQuarantine,
  AuditRecord,
} from './audit-record.js';
import { integerText, numberText, stringText } from './json-text.js';
import { timeText } from './time-text.js';

/** Longest line in bytes unless told, without the newline. */
export const DEFAULT_MAX_LINE_BYTES = 8192;

// PATH_MAX first: nearly every line fits. The last always fits: 16 strings of 16 units, escaped, and the numbers.
const STRING_LIMITS = [4096, 1024, 256, 64, 16];

/** One line without its newline. Strings are cut, the same limit for all, until it fits `maxLineBytes` (4096 or more). */
export function formatAuditLine(record: AuditRecord, maxLineBytes = DEFAULT_MAX_LINE_BYTES): string {
  let line = '';
  for (const limit of STRING_LIMITS) {
    line = formatWithin(record, limit);
    // A UTF-16 unit is at most three bytes of UTF-8.
    if (line.length * 3 <= maxLineBytes || Buffer.byteLength(line) <= maxLineBytes) break;
  }
  return line;
}

function formatWithin(record: AuditRecord, limit: number): string {
  let line = record.seq === undefined ? '{' : `{"seq":${integerText(record.seq)},`;
  line += `"time":"${timeText(record.bootNs, record.wallOffsetNs)}"`;
  line += `,"boot_ns":${integerText(record.bootNs)},"kind":"${record.kind}"`;
  if (record.command !== undefined) line += `,"command":${stringText(record.command, limit)}`;
  if (record.arch !== undefined) line += `,"arch":${stringText(record.arch, limit)}`;
  if (record.device !== undefined) line += `,"device":${deviceText(record.device, limit)}`;
  if (record.result !== undefined) line += `,"result":${stringText(record.result, limit)}`;
  if (record.durationNs !== undefined) line += `,"duration_ns":${integerText(record.durationNs)}`;
  if (record.caller !== undefined) line += `,"caller":${callerText(record.caller, limit)}`;
  const { opener } = record;
  if (opener !== undefined) line += `,"opener":{"uid":${opener.uid},"userns":${integerText(opener.userns)}}`;
  if (record.container !== undefined) line += `,"container":${containerText(record.container, limit)}`;
  if (record.backing !== undefined) line += `,"backing":${backingText(record.backing, limit)}`;
  if (record.config !== undefined) line += `,"config":${configText(record.config)}`;
  if (record.owner !== undefined) line += `,"owner":${ownerText(record.owner)}`;
  if (record.verdict !== undefined) line += `,"verdict":${stringText(record.verdict, limit)}`;
  if (record.rule !== undefined) line += `,"rule":${stringText(record.rule, limit)}`;
  if (record.gap !== undefined) line += `,"gap":${gapText(record.gap)}`;
  if (record.aggregate !== undefined) line += `,"aggregate":${aggregateText(record.aggregate)}`;
  if (record.quarantine !== undefined) line += `,"quarantine":${quarantineText(record.quarantine, limit)}`;
  return `${line}}`;
}

function gapText({ records, fromBootNs, toBootNs }: AuditGap): string {
  return `{"records":${records},"from_boot_ns":${integerText(fromBootNs)},"to_boot_ns":${integerText(toBootNs)}}`;
}

function aggregateText({ of, count, firstBootNs, lastBootNs, devices }: AuditAggregate): string {
  const times = `"first_boot_ns":${integerText(firstBootNs)},"last_boot_ns":${integerText(lastBootNs)}`;
  return `{"of":"${of}","count":${integerText(count)},${times},"devices":"${devices}"}`;
}

function quarantineText({ map, fault, pin, kept, lost }: AuditQuarantine, limit: number): string {
  const what = `"map":${stringText(map, limit)},"fault":${stringText(fault, limit)},"pin":${stringText(pin, limit)}`;
  return `{${what},"kept":${kept},"lost":${lost}}`;
}

function deviceText({ name, devno, diskseq }: AuditDevice, limit: number): string {
  const life = diskseq === undefined ? '' : `,"diskseq":${integerText(diskseq)}`;
  return `{"name":${stringText(name, limit)},"devno":"${devnoText(devno)}"${life}}`;
}

function callerText(caller: AuditCaller, limit: number): string {
  const { userns } = caller;
  let text = `{"pid":${caller.pid},"tid":${caller.tid},"start_boot_ns":${integerText(caller.startBootNs)}`;
  text += `,"comm":${stringText(caller.comm, limit)},"uid":${caller.uid},"gid":${caller.gid}`;
  text += `,"userns":{"id":${integerText(userns.id)},"inum":${numberText(userns.inum)},"level":${userns.level}`;
  text += `,"owner_uid":${userns.ownerUid}},"pidns":${numberText(caller.pidns)},"mntns":${numberText(caller.mntns)}`;
  return `${text},"netns":${numberText(caller.netns)},"cgroup_id":${integerText(caller.cgroupId)}}`;
}

/** One container is in very many lines, and does not change. */
const containerTexts = new WeakMap<AuditContainer, string>();

function containerText(container: AuditContainer, limit: number): string {
  if (limit !== STRING_LIMITS[0]) return containerTextWithin(container, limit);
  let text = containerTexts.get(container);
  if (text === undefined) {
    text = containerTextWithin(container, limit);
    containerTexts.set(container, text);
  }
  return text;
}

function containerTextWithin(container: AuditContainer, limit: number): string {
  const { runtime, id, name, pod, source, confidence } = container;
  let text = '';
  if (runtime !== undefined) text += `,"runtime":${stringText(runtime, limit)}`;
  if (id !== undefined) text += `,"id":${stringText(id, limit)}`;
  if (name !== undefined) text += `,"name":${stringText(name, limit)}`;
  if (pod !== undefined) text += `,"pod":${stringText(pod, limit)}`;
  if (source !== undefined) text += `,"source":${stringText(source, limit)}`;
  if (confidence !== undefined) text += `,"confidence":${stringText(confidence, limit)}`;
  return `{${text.slice(1)}}`;
}

function backingText({ dev, inode, path }: AuditBacking, limit: number): string {
  const tail = path === undefined ? '' : `,"path":${stringText(path, limit)}`;
  return `{"dev":"${devnoText(dev)}","inode":${integerText(inode)}${tail}}`;
}

function configText({ offset, sizelimit, flags, blockSize }: AuditLoopConfig): string {
  const place = `{"offset":${integerText(offset)},"sizelimit":${integerText(sizelimit)}`;
  return `${place},"flags":${flagsText(flags)},"block_size":${blockSize}}`;
}

function ownerText({ before, after }: AuditOwner): string {
  const parts: string[] = [];
  if (before !== undefined) parts.push(`"before":${integerText(before)}`);
  if (after !== undefined) parts.push(`"after":${integerText(after)}`);
  return `{${parts.join(',')}}`;
}

function devnoText(devno: number): string {
  return `${devno >>> 20}:${devno & 0xfffff}`;
}

// LO_FLAGS_* of include/uapi/linux/loop.h.
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [1, 'READ_ONLY'],
  [4, 'AUTOCLEAR'],
  [8, 'PARTSCAN'],
  [16, 'DIRECT_IO'],
];
const KNOWN_FLAGS = 1 | 4 | 8 | 16;

function flagsText(flags: number): string {
  if (flags === 0) return '[]';
  const names = FLAG_NAMES.filter(([bit]) => flags & bit).map(([, name]) => `"${name}"`);
  // A newer kernel's flag is shown rather than lost.
  const unknown = (flags & ~KNOWN_FLAGS) >>> 0;
  if (unknown !== 0) names.push(`"0x${unknown.toString(16)}"`);
  return `[${names.join(',')}]`;
}
