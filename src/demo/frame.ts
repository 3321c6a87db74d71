/**
 * A recording: what an agent got from its kernel and its host, in the order of time. NDJSON, compressed by gzip; the first line
 * is the header, each other one a frame, which has only what is new. Whoever plays it does the rest anew.
 */
import * as z from 'zod';
import type { Container } from '../identity/container.js';
import { RUNTIMES, SOURCES } from '../identity/container.js';
import { HOOK_NAMES, LINK_KINDS } from '../kernel/hooks.js';
import { RECEIVER_CLASSES, RECEIVER_SHARES } from '../kernel/receiver-class.js';

/** Raised when frames change; records have the hash of their layout besides. */
export const FORMAT = 1;

/** More than any path or cgroup has. */
const text = z.string().max(4096);
const count = z.int().min(0);
const u64 = z
  .string()
  .regex(/^\d{1,20}$/, 'must be a 64-bit number')
  .transform(BigInt);
const bytes = z.base64().transform((value) => Buffer.from(value, 'base64'));

const mapShape = z.strictObject({
  keySize: z.int().min(1).max(64),
  valueSize: z.int().min(1).max(4096),
  maxEntries: z.int().min(1).max(1_048_576),
  /** 1 where values are not kept for each CPU. */
  cpus: z.int().min(1).max(4096),
});

export const headerSchema = z.strictObject({
  format: z.literal(FORMAT),
  /** LAYOUT_HASH of the decoder that the records are for, in hexadecimal. */
  layout: z.string().regex(/^[0-9a-f]{16}$/),
  kernel: text,
  /** As in loopPartShift. */
  partShift: z.int().min(0).max(20),
  maps: z.record(text, mapShape),
});

const containerSchema: z.ZodType<Container> = z.strictObject({
  runtime: z.enum(RUNTIMES),
  id: text,
  name: z.exactOptional(text),
  pod: z.exactOptional(text),
  unit: z.exactOptional(text),
  nested: z.exactOptional(z.strictObject({ runtime: z.enum(RUNTIMES), id: text })),
  delegated: z.exactOptional(z.literal(true)),
  confidence: z.enum(['high', 'low']),
  source: z.enum(SOURCES),
  cgroup: text,
});

const loopSchema = z.strictObject({
  name: z.string().regex(/^loop\d{1,7}$/),
  devno: count,
  diskseq: u64,
  sizeBytes: count,
  logicalBlockBytes: count,
  readOnly: z.boolean(),
  backing: z
    .strictObject({
      path: text,
      offset: count,
      sizelimit: count,
      autoclear: z.boolean(),
      partscan: z.boolean(),
      dio: z.boolean(),
    })
    .nullable(),
  partitions: z.array(text),
});

const receiverSchema = z.strictObject({
  pid: count,
  fd: count,
  command: text,
  executable: text,
  socketInode: u64,
  userns: u64,
  usernsInum: count,
  usernsLevel: count,
  netns: count,
  uid: count,
  /** Recordings of before have none of these four. */
  container: u64.default(0n),
  place: containerSchema.nullable().default(null),
  gets: z.enum(RECEIVER_SHARES).default('host'),
  rule: text.nullable().default(null),
  class: z.enum(RECEIVER_CLASSES),
  why: text,
});

const outcomeSchema = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('attached'), link: z.enum(LINK_KINDS) }),
  z.strictObject({ state: z.literal('unsupported'), link: z.enum(LINK_KINDS), reason: text, since: text }),
  z.strictObject({ state: z.literal('failed'), link: z.enum(LINK_KINDS), error: text }),
  z.strictObject({ state: z.literal('detached'), link: z.enum(LINK_KINDS) }),
]);

export const frameSchema = z.strictObject({
  /** CLOCK_BOOTTIME, nanoseconds, of the host of the recording. */
  atNs: u64,
  /** What happens, in a sentence: for whoever watches. */
  caption: text.optional(),
  /** A batch of the ring, as the decoder takes it. */
  records: bytes.optional(),
  /** Who the callers are that these records are the first of. */
  callers: z.array(z.strictObject({ pid: count, startBootNs: u64, container: containerSchema })).optional(),
  /** Whole contents of the maps that have changed. */
  maps: z.record(text, z.strictObject({ keys: bytes, values: bytes })).optional(),
  loops: z.array(loopSchema).optional(),
  /** Inums of the user namespaces that some process is in. */
  populated: z.array(count).optional(),
  ring: z.strictObject({ availableBytes: count, unreadBytes: count, sizeBytes: count }).optional(),
  receivers: z.array(receiverSchema).optional(),
  hooks: z.array(z.strictObject({ hook: z.enum(HOOK_NAMES), outcomes: z.array(outcomeSchema) })).optional(),
  programs: z.array(z.strictObject({ name: text, verifiedInstructions: count })).optional(),
  /** Null: no process of loopfs answers. */
  loopfs: z
    .strictObject({
      instances: count,
      devices: z.record(text, count),
      deviceLimit: count.optional(),
      numbersLeft: count.optional(),
      refusals: z.record(text, count),
    })
    .nullable()
    .optional(),
  /** The agent of the recording starts or stops. */
  agent: z.enum(['start', 'stop']).optional(),
});

export type Header = z.infer<typeof headerSchema>;
export type MapShape = z.infer<typeof mapShape>;
export type Frame = z.infer<typeof frameSchema>;

export interface Recording {
  header: Header;
  /** At least one; times never go back. */
  frames: readonly Frame[];
}
