/**
 * Every key of the config, once. Types, defaults, bounds, help, flags and the README's table come from here.
 *
 * Each key has a description and a default; `flag` in its metadata gives it a command-line flag.
 */
import * as z from 'zod';
import { LINK_KINDS } from '../kernel/hooks.js';
import { AUDIT_KINDS } from '../sinks/audit-record.js';

declare module 'zod' {
  interface GlobalMeta {
    /** Command-line flag of the key, with its dashes. */
    flag?: string;
  }
}

export const FILTER_MODES = ['off', 'observe', 'hide'] as const;
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const absolutePath = z
  .string()
  .regex(/^\/[^\0]*$/, 'must be an absolute path')
  .max(4095);

const count = (least: number, most: number) => z.int().min(least).max(most);

export const configSchema = z.strictObject({
  filter: z.strictObject({
    mode: z.enum(FILTER_MODES).default('hide').meta({
      description:
        'What happens to uevents of devices that a user namespace owns: nothing, counted only, or hidden from the host',
      flag: '--filter-mode',
    }),
  }),
  audit: z.strictObject({
    path: z
      .string()
      .regex(/^(-|\/[^\0]*)$/, 'must be an absolute path or -')
      .max(4095)
      .default('/var/log/loopwarden/audit.ndjson')
      .meta({ description: 'File of the audit log; - is stdout', flag: '--audit-log' }),
    kinds: z
      .array(z.enum(AUDIT_KINDS))
      .max(AUDIT_KINDS.length)
      .default(['ioctl', 'life', 'agent'])
      .meta({ description: 'Kinds of record that are written to the audit log' }),
    max_line_bytes: count(4096, 65_536).default(8192).meta({
      description: 'Longest audit line in bytes; strings from the kernel are cut to fit',
    }),
  }),
  http: z.strictObject({
    address: z.union([z.ipv4(), z.ipv6()], { error: 'must be an IP address' }).default('127.0.0.1').meta({
      description: 'IP address that /metrics and the health pages listen on',
      flag: '--http-address',
    }),
    port: count(0, 65_535)
      .default(9847)
      .meta({ description: 'TCP port of the same; 0 lets the kernel choose', flag: '--http-port' }),
  }),
  api: z.strictObject({
    // sun_path holds 108 bytes with the final zero.
    socket: absolutePath
      .refine((path) => Buffer.byteLength(path) <= 107, 'must be at most 107 bytes long')
      .default('/run/loopwarden/api.sock')
      .meta({ description: 'Unix socket that the commands use', flag: '--socket' }),
  }),
  log: z.strictObject({
    level: z
      .enum(LOG_LEVELS)
      .default('info')
      .meta({ description: "Least severe level of the agent's own log on stderr", flag: '--log-level' }),
  }),
  pins: z.strictObject({
    path: absolutePath.default('/sys/fs/bpf/loopwarden').meta({
      description: 'Folder on a BPF file system for the programs, links and maps that outlive the agent',
    }),
  }),
  hooks: z.strictObject({
    avoid: z.array(z.enum(LINK_KINDS)).max(LINK_KINDS.length).default([]).meta({
      description: 'Kinds of link that are not used even where the kernel has them; the next best is taken',
    }),
  }),
  ring: z.strictObject({
    size_bytes: count(65_536, 1_073_741_824)
      .refine((size) => Number.isInteger(Math.log2(size)), 'must be a power of two')
      .default(2_097_152)
      .meta({
        description:
          'Ring buffer between kernel and agent, in bytes; a power of two. It counts twice in the agent’s resident memory',
      }),
  }),
  limits: z.strictObject({
    devices: count(64, 1_048_576)
      .default(16_384)
      .meta({ description: 'Loop devices whose owner is tracked; more count as drops (owner_map_full)' }),
    user_namespaces: count(64, 1_048_576)
      .default(16_384)
      .meta({ description: 'User namespaces that are known; more count as drops (userns_map_full)' }),
    inflight: count(64, 1_048_576)
      .default(8192)
      .meta({ description: 'Callers inside a loop ioctl at one time; more count as drops (inflight_full)' }),
    recent_events: count(0, 100_000)
      .default(1000)
      .meta({ description: 'Events kept in memory for loopwarden events' }),
  }),
  loopfs: z.strictObject({
    socket: absolutePath
      .refine((path) => Buffer.byteLength(path) <= 107, 'must be at most 107 bytes long')
      .default('/run/loopwarden/loopfs.sock')
      .meta({ description: 'Unix socket of loopwarden loopfs serve', flag: '--loopfs-socket' }),
    folder: absolutePath.default('/run/loopwarden/loopfs').meta({
      description:
        'Folder for what the next loopfs must know of the instances; on a file system that a reboot empties',
    }),
    host_mount: absolutePath.default('/dev/loopfs-host').meta({
      description: 'Folder of the host that its own instance is mounted on (loopfs create --host)',
    }),
    first_number: count(8, 1_048_575).default(4096).meta({
      description: 'Lowest number of a device in an instance; what is below is the host’s',
    }),
    devices: count(1, 1_048_576)
      .default(4096)
      .meta({ description: 'Most devices of all instances together; past it ENOSPC' }),
    devices_per_userns: count(1, 1_048_576).default(1024).meta({
      description: 'Most devices of a user namespace with all those below it; past it ENOSPC',
    }),
    numbers_per_instance: count(1, 1_048_576).default(65_536).meta({
      description:
        'Most numbers that an instance may use up, since none is given twice before a reboot; past it ENOSPC',
    }),
    threads: count(1, 64).default(4).meta({ description: 'Threads that serve the instances' }),
    serve: z.boolean().default(false).meta({
      description:
        'Whether the agent starts loopwarden loopfs serve, starts it again when it ends, and stops it with itself',
    }),
    forward_uevents: z.boolean().default(false).meta({
      description:
        'Whether a container hears of its own devices by uevents, in its network namespace, if its instance was not told',
    }),
    needs_agent: z.boolean().default(true).meta({
      description:
        'Whether devices are made only while the agent runs, which hides them from their first moment; else EAGAIN',
    }),
  }),
  receivers: z.strictObject({
    scan_interval_ms: count(100, 3_600_000).default(10_000).meta({
      description: 'Milliseconds between two searches for uevent sockets that no event announced',
    }),
    allow: z
      .array(absolutePath)
      .max(256)
      .default([])
      .meta({ description: 'Executables whose uevent sockets get everything' }),
  }),
  metrics: z.strictObject({
    device_info: z.boolean().default(true).meta({
      description: 'Whether /metrics has a loopwarden_loop_device_info series for each device',
    }),
    device_info_limit: count(0, 100_000)
      .default(256)
      .meta({ description: 'Most loopwarden_loop_device_info series' }),
  }),
});

export type Config = z.infer<typeof configSchema>;
export type FilterMode = Config['filter']['mode'];
export type LogLevel = Config['log']['level'];
