/**
 * Every key of the config, once. Types, defaults, bounds, help, flags and the table of docs/config.md come from here.
 *
 * Each key has a description and a default; `flag` in its metadata gives it a command-line flag.
 */
import * as z from 'zod';
import { LINK_KINDS } from '../kernel/hooks.js';
import { REAP_MODES } from '../policy/reap-modes.js';
import { OUTPUT_NAMES } from '../sinks/audit-output.js';
import { AUDIT_KINDS } from '../sinks/audit-record.js';
import { SCHEMA_NAMES } from '../sinks/audit-schema.js';
import { parseSyslogAddress } from '../sinks/syslog-address.js';
import { parseReceiverRules } from './receiver-rule.js';

declare module 'zod' {
  interface GlobalMeta {
    /** Command-line flag of the key, with its dashes. */
    flag?: string;
  }
}

export const FILTER_MODES = ['off', 'observe', 'hide'] as const;
export const HIDE_SCOPES = ['userns', 'container'] as const;
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const absolutePath = z
  .string()
  .regex(/^\/[^\0]*$/, 'must be an absolute path')
  .max(4095);

const pathOrNone = z
  .string()
  .regex(/^(\/[^\0]*)?$/, 'must be an absolute path, or empty')
  .max(4095)
  .default('');

const count = (least: number, most: number) => z.int().min(least).max(most);

const receiverRule = z.string().superRefine((text, context) => {
  const rules = parseReceiverRules(text);
  if (typeof rules === 'string') context.addIssue({ code: 'custom', message: rules });
});

export const configSchema = z.strictObject({
  filter: z.strictObject({
    mode: z.enum(FILTER_MODES).default('hide').meta({
      description:
        'What happens to uevents of devices that a user namespace owns: nothing, counted only, or hidden from the host',
      flag: '--filter-mode',
    }),
  }),
  hide: z.strictObject({
    scope: z.enum(HIDE_SCOPES).default('userns').meta({
      description:
        'Whose devices are hidden: those of user namespaces, or of containers without one, too (rootful ones); docs/rootful.md',
    }),
    devnode: z.boolean().default(false).meta({
      description:
        'Whether the nodes of hidden devices with a file are out of the host’s /dev as well, so that who scans it finds nothing; not for containers that share it',
    }),
    devnode_state: absolutePath.default('/run/loopwarden/devnodes.json').meta({
      description: 'File that says how to put them back; on a file system that a reboot empties',
    }),
  }),
  reap: z.strictObject({
    mode: z.enum(REAP_MODES).default('off').meta({
      description:
        'What is done with devices whose user namespace is gone and that nothing uses: nothing, their file is detached, or those that the namespace made are removed as well',
    }),
    grace_seconds: count(1, 31_536_000).default(300).meta({
      description: 'Seconds that a device has been an orphan before',
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
    rotate_bytes: count(0, 1_099_511_627_776)
      .refine((bytes) => bytes === 0 || bytes >= 65_536, 'must be 0 or at least 65536')
      .default(134_217_728)
      .meta({
        description:
          'Size at which the audit log’s file becomes audit.ndjson.N, N counting up; 0: never. With this and rotate_hours 0 something else rotates it, and sends SIGHUP',
      }),
    rotate_hours: count(0, 87_600)
      .default(24)
      .meta({ description: 'Age in hours at which it does; 0: never' }),
    keep_files: count(0, 10_000)
      .default(30)
      .meta({ description: 'Most rotated files; older ones are removed at a rotation; 0: all stay' }),
    keep_days: count(0, 36_500)
      .default(0)
      .meta({ description: 'Days that a rotated file is kept after its last line; 0: for ever' }),
    chain: z
      .boolean()
      .default(true)
      .meta({ description: 'Whether signed checkpoints stand in the log, for loopwarden audit verify' }),
    checkpoint_ms: count(10, 3_600_000)
      .default(1000)
      .meta({ description: 'Milliseconds that a line waits for its checkpoint at most' }),
    key_path: absolutePath.default('/var/lib/loopwarden/audit.key').meta({
      description:
        'Key that signs them, made at the first start; beside it .pub, the public key, and .state, the last checkpoint',
    }),
    outputs: z.array(z.enum(OUTPUT_NAMES)).max(OUTPUT_NAMES.length).default([]).meta({
      description: 'Where lines of the audit log go besides its file, as far as the receiver takes them',
    }),
    schema: z.enum(SCHEMA_NAMES).default('native').meta({
      description: 'What the outputs journald and syslog make of a line; otlp has the form of its protocol',
    }),
    syslog_address: z
      .string()
      .refine(
        (address) => parseSyslogAddress(address) !== undefined,
        'must be a socket’s absolute path, udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT',
      )
      .default('/dev/log')
      .meta({
        description:
          'Where the output syslog sends them: the host’s own socket, udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT',
      }),
    syslog_ca: pathOrNone.meta({
      description:
        'PEM file of the authorities that the server of tls:// is believed by; empty: the public ones',
    }),
    syslog_cert: pathOrNone.meta({
      description: 'PEM file of the certificate, with those between, that it is shown; empty: none',
    }),
    syslog_key: pathOrNone.meta({ description: 'PEM file of that certificate’s key; root’s' }),
    otlp_url: z
      .string()
      .regex(/^https?:\/\/[^\s/@]+(\/\S*)?$/, 'must be an http or https URL without a password')
      .max(2048)
      .default('http://127.0.0.1:4318/v1/logs')
      .meta({ description: 'Where the output otlp sends them, by OTLP over HTTP in JSON' }),
  }),
  http: z.strictObject({
    address: z.union([z.ipv4(), z.ipv6()], { error: 'must be an IP address' }).default('127.0.0.1').meta({
      description: 'IP address that /metrics and the health pages listen on',
      flag: '--http-address',
    }),
    port: count(0, 65_535)
      .default(9847)
      .meta({ description: 'TCP port of the same; 0 lets the kernel choose', flag: '--http-port' }),
    page: z.boolean().default(true).meta({
      description: 'Whether the live page and what it reads (/api/v1) are served there, too',
    }),
    web_config: pathOrNone.meta({
      description:
        'Prometheus web-config file: TLS, client certificates, users. Needed where others than this host can connect',
      flag: '--web-config',
    }),
    allow_unauthenticated: z.boolean().default(false).meta({
      description: 'Whether to listen on an address that is not loopback without asking anybody who they are',
    }),
    allowed_hosts: z
      .array(z.string().regex(/^[A-Za-z0-9.-]{1,253}$/, 'must be host names'))
      .max(256)
      .default([])
      .meta({
        description:
          'Names besides localhost and the host’s own under which it may be asked, while nobody has to say who they are',
      }),
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
    records_per_second: count(10, 1_000_000).default(2000).meta({
      description:
        'Events a second that are recorded one by one for each user namespace right below the initial one, and each user of the host; those that change whose a device is always are; more are counted, and root of the host has 16 times as many',
    }),
    devices: count(64, 1_048_576)
      .default(16_384)
      .meta({ description: 'Loop devices whose owner is tracked; more count as drops (owner_map_full)' }),
    user_namespaces: count(64, 1_048_576).default(16_384).meta({
      description:
        'User namespaces that are known at one time: the dead that own nothing are forgotten when it is half full; more count as drops (userns_map_full)',
    }),
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
    allow: z.array(receiverRule).max(256).default([]).meta({
      description:
        'Listeners that get everything: an executable’s path, unit:NAME, cgroup:/PATH, container:NAME, userns:NUMBER, preset:incusd or preset:csi-drivers; docs/receivers.md',
    }),
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
