/** What a verification of the audit log says. */

export const FINDING_KINDS = [
  'edited',
  'inserted',
  'deleted',
  'reordered',
  'checkpoint_altered',
  'checkpoint_missing',
  'checkpoint_misplaced',
  'unknown_key',
  'other_chain',
  'truncated',
  'file_missing',
  'unsigned',
  'unreadable',
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export interface LinePlace {
  file: string;
  /** From 1. */
  line: number;
  seq?: number;
}

/** Something is not as the agent wrote it, between two places (both included). */
export interface Finding {
  kind: FindingKind;
  from: LinePlace;
  to: LinePlace;
  /** The checkpoint that tells, or that is concerned. */
  checkpoint?: number;
  /** Where exactly, as far as sequence numbers and syntax show it. */
  suspects: Suspect[];
  words: string;
}

export interface Suspect {
  kind: 'edited' | 'inserted' | 'deleted' | 'reordered';
  at: LinePlace;
  words: string;
}

export interface VerificationReport {
  ok: boolean;
  findings: Finding[];
  /** Findings beyond the most that are listed. */
  more: number;
  /** What is no sign of tampering, but bounds what was proven. */
  notes: string[];
  files: { path: string; lines: number; checkpoints: number }[];
  lines: number;
  checkpoints: number;
  /** Lines after the last checkpoint. */
  unsignedLines: number;
  chain?: string;
  firstCheckpoint?: number;
  lastCheckpoint?: number;
  lastTime?: string;
  keys: string[];
}
