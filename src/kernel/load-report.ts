/**
 * What the loader leaves for the agent beside the pins: by which links the hooks are attached, and why not by others. It is in a pinned
 * map, and so there exactly as long as what it speaks of.
 */
import { ACTING_BUILD, isActingBuild } from './acting-set.js';
import type { Gates } from './gates.js';
import { gateProgramsOf, type HookLink, type HookName, type HookOutcome, linkOf } from './hooks.js';
import type { BpfMap } from './native.js';
import type { HideScopeName } from './settings.js';

/** The pinned map. */
export const LOAD_REPORT = 'load_report';

export interface LoadReport {
  /** See describeBuild. */
  build: string;
  /** See hashObjects. */
  objects: string;
  outcomes: readonly { hook: HookName; outcomes: readonly HookOutcome[] }[];
  /** Of the load: those of an earlier one that go on are not among them. */
  programs: readonly { name: string; verifiedInstructions: number }[];
  /** The host's, by its inum: the agent may be in one of its own. */
  networkNamespace: number;
  /** What hide.scope was before. */
  scopeBefore?: HideScopeName;
  /** The id of the owner map that its programs use; the kernel gives it to no other map. */
  owners?: number;
  /** A pinned map that could not be believed, for the audit log. */
  quarantine?: Quarantine | undefined;
}

export interface Quarantine {
  map: string;
  fault: string;
  /** Where the map is now. */
  pin: string;
  /** Entries. */
  kept: number;
  lost: number;
}

/** To be raised when a reader of before would misread it. */
const FORMAT = 1;
const KEY = Buffer.alloc(4);
/** Of what a kernel or a verifier says: with it all links of all hooks have room, whatever characters it is made of. */
const MOST_TEXT = 400;

export function keepLoadReport(map: BpfMap, report: LoadReport): void {
  const value = Buffer.alloc(map.valueSize);
  const text = { format: FORMAT, ...report };
  value.write(JSON.stringify(text, (_, each: unknown) => (typeof each === 'string' ? cut(each) : each)));
  // Of a text that filled it to the last byte nothing could be read.
  value[map.valueSize - 1] = 0;
  map.put(KEY, value);
}

/** Undefined: nothing was loaded, or what is there is none. Only root writes it; what is read is compared by its digests. */
export function readLoadReport(map: BpfMap | undefined): LoadReport | undefined {
  const value = map?.get(KEY);
  const end = value?.indexOf(0) ?? 0;
  if (!value || end <= 0) return undefined;
  try {
    const report = JSON.parse(value.toString('utf8', 0, end)) as (LoadReport & { format: number }) | null;
    return report?.format === FORMAT ? report : undefined;
  } catch {
    return undefined;
  }
}

/** The links that its hooks came to. */
export function linksOf({ outcomes: all }: LoadReport): ReadonlyMap<HookName, HookLink> {
  return new Map(
    all.flatMap(({ hook, outcomes }) => {
      const link = linkOf(hook, outcomes);
      return link ? [[hook, link] as const] : [];
    }),
  );
}

/** Is the set of programs that acts the one that it speaks of? */
export function isOfActing(report: LoadReport, found: ReadonlyMap<string, BpfMap>, gates: Gates): boolean {
  const names = gateProgramsOf([...linksOf(report).values()]);
  return isActingBuild(found.get(ACTING_BUILD), gates, names, report.build);
}

function cut(text: string): string {
  return text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
}
