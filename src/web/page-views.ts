/** What the live page is told, as JSON has it: no imports, since the page's script is checked for a browser. */

/** A 64-bit integer: a string where it is beyond 2^53. */
export type WireInteger = number | string;

export interface DeviceRow {
  name: string;
  devno: string;
  diskseq: WireInteger;
  state: 'bound' | 'unbound';
  sizeBytes: number;
  readOnly: boolean;
  partitions: string[];
  on: string[][];
  backing: { path: string; offset: number; sizelimit: number } | null;
  owner: {
    class: 'initial' | 'userns' | 'container' | 'unknown';
    as: 'holder' | 'creator' | 'stacked' | null;
    userns: { id: WireInteger; inum: number; level: number; ownerUid: number; alive: boolean } | null;
    /** Of a container without a user namespace of its own. */
    pidns: { id: WireInteger; inum: number; level: number; alive: boolean } | null;
  };
  orphan: boolean;
  attachedBy: { pid: number; comm: string; uid: number } | null;
  container: {
    runtime: string;
    id: string;
    name?: string;
    pod?: string;
    unit?: string;
    source: string;
    confidence: string;
    cgroup: string;
  } | null;
  hidden: boolean;
  verdict: { verdict: 'deliver' | 'hide'; rule: string; words: string };
}

export interface HookRow {
  hook: string;
  outcomes: readonly { state: string; link: string; reason?: string; since?: string; error?: string }[];
}

export interface StatusView {
  version: string;
  revision: string;
  pid: number;
  startedAt: string;
  filterMode: string;
  host: string;
  kernel: string;
  /** Why the agent does not do what the config says; empty: it does. */
  unready: readonly string[];
  hooks: readonly HookRow[];
  receivers: readonly { class: string; count: number }[];
  drops: Readonly<Record<string, number>>;
  auditLines: { written: number; lost: number };
  records: { produced: number; delivered: number; aggregated: number; unaccounted: number };
  ring: { available: number; size: number };
  deliveries: readonly { verdict: string; rule: string; count: number }[];
  /** Null: no process of loopfs answers. */
  loopfs: {
    instances: number;
    devices: Readonly<Record<string, number>>;
    refusals: Readonly<Record<string, number>>;
  } | null;
  limits: { devices: number; perUserns: number };
  /** Milliseconds between two samples of the rates. */
  sampleMs: number;
}

export interface RateRow {
  n: number;
  timeMs: number;
  ok: number;
  failed: number;
  hidden: number;
  delivered: number;
  events: number;
  drops: number;
}

/** A line of the audit log, as far as the page shows it; any of it may be missing. */
export interface EventLine {
  time?: string;
  boot_ns?: WireInteger;
  kind?: string;
  command?: string;
  device?: { name?: string; devno?: string; diskseq?: WireInteger };
  result?: string;
  duration_ns?: WireInteger;
  caller?: { pid?: number; comm?: string; uid?: number; userns?: { inum?: number; level?: number } };
  container?: { runtime?: string; id?: string; name?: string };
  backing?: { path?: string };
  verdict?: string;
  rule?: string;
  gap?: { records?: number };
  aggregate?: { of?: string; count?: WireInteger };
}
