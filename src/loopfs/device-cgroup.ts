/**
 * What a container's device cgroup lets it open. Under cgroup v1 that is a file, which the hook adds to. Under v2 it is a BPF
 * program of the runtime's, and of several programs all must allow: so its rules can only be read in the bundle.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createError, reasonOf } from '../errors.js';
import { readMounts } from '../kernel/mountinfo.js';
import { deviceRuleLines, deviceRules } from './device-rules.js';

/** Of the devices hierarchy of cgroup v1, where it is mounted: the folder of a process's cgroup. */
function v1Folder(pid: number | 'self'): string | undefined {
  const path = /^\d+:(?:[^:\n]*,)?devices(?:,[^:\n]*)?:(.*)$/m.exec(
    readFileSync(`/proc/${pid}/cgroup`, 'utf8'),
  )?.[1];
  const point = readMounts().find(
    ({ type, options }) => type === 'cgroup' && options.split(',').includes('devices'),
  )?.point;
  return path === undefined || point === undefined ? undefined : `${point}${path}`;
}

/** `devices`: linux.resources.devices of the bundle. @throws ERR_DEVICE_RULES */
export function allowLoopDevices(pid: number, devices: readonly unknown[]): void {
  const folder = v1Folder(pid);
  // Our own cgroup is not the container's: then the runtime uses the other version.
  if (folder === undefined || folder === v1Folder('self')) requireRules(devices);
  else allow(folder);
}

function allow(folder: string): void {
  try {
    for (const line of deviceRuleLines()) writeFileSync(`${folder}/devices.allow`, line);
  } catch (error) {
    throw refusal(reasonOf(error), error);
  }
}

function requireRules(devices: readonly unknown[]): void {
  const refused = refusedMajors(devices);
  if (refused.length > 0)
    throw refusal(`linux.resources.devices lets nothing open block devices of major ${refused.join(', ')}`);
}

/** As runtimes read them: the last that matches counts, and without any rule nothing is restricted. */
export function refusedMajors(devices: readonly unknown[]): number[] {
  if (devices.length === 0) return [];
  return deviceRules().flatMap(({ major }) => (mayOpen(devices, major) ? [] : [major]));
}

interface Rule {
  allow?: unknown;
  type?: unknown;
  major?: unknown;
  minor?: unknown;
  access?: unknown;
}

function mayOpen(devices: readonly unknown[], major: number): boolean {
  const open = { r: false, w: false };
  for (const rule of devices as readonly (Rule | null)[]) {
    if (rule === null || !coversMajor(rule, major)) continue;
    const access = typeof rule.access === 'string' ? rule.access : 'rwm';
    for (const each of ['r', 'w'] as const) if (access.includes(each)) open[each] = rule.allow === true;
  }
  return open.r && open.w;
}

function coversMajor({ type = 'a', major, minor }: Rule, wanted: number): boolean {
  const any = (value: unknown): boolean => value === undefined || value === null || value === -1;
  // A rule for one minor says nothing of a number that is not known yet.
  return (type === 'a' || type === 'b') && (any(major) || major === wanted) && any(minor);
}

function refusal(reason: string, cause?: unknown) {
  return createError('ERR_DEVICE_RULES', { reason, rules: JSON.stringify(deviceRules()) }, { cause });
}
