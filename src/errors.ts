/**
 * Every way loopwarden fails, in one table: exit code, message and what to do next.
 *
 * Libraries throw a `LoopwardenError` made by `createError`; only commands and agent.ts print one, with
 * `renderErrorLine`. `{name}` in a message or next step is filled from the details given at the throw.
 */

/** Exit codes of the command line. */
export const EXIT = {
  ok: 0,
  no: 1,
  usage: 2,
  agentNotRunning: 69,
  notPermitted: 77,
  kernelLacks: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const ERRORS = {
  ERR_CONFIG_UNREADABLE: {
    exitCode: EXIT.usage,
    message: 'cannot read the config: {reason}',
    nextStep: 'name a readable file of at most 1 MiB with --config, or remove the option to use the defaults',
  },
  ERR_CONFIG_SYNTAX: {
    exitCode: EXIT.usage,
    message: 'the config is not the YAML expected: {reason}',
    nextStep: 'mend that place in the file',
  },
  ERR_CONFIG_KEY: {
    exitCode: EXIT.usage,
    message: 'unknown key "{key}"',
    nextStep: '{suggestion}',
  },
  ERR_CONFIG_VALUE: {
    exitCode: EXIT.usage,
    message: '{key} cannot be {value}: {reason}',
    nextStep: 'change the value, or remove it to get the default',
  },
  ERR_USAGE: {
    exitCode: EXIT.usage,
    message: '{reason}',
    nextStep: 'see loopwarden --help',
  },
  ERR_NOT_ROOT: {
    exitCode: EXIT.notPermitted,
    message: 'not permitted: {action}',
    nextStep: 'run it as root',
  },
  ERR_NO_BTF: {
    exitCode: EXIT.kernelLacks,
    message: 'this kernel offers no type information ({path})',
    nextStep: 'boot a kernel built with CONFIG_DEBUG_INFO_BTF=y',
  },
  ERR_BPF_REFUSED: {
    exitCode: EXIT.notPermitted,
    message: 'the kernel refused bpf(): {reason}',
    nextStep:
      'run as root outside containers, and check kernel lockdown and seccomp; loopwarden doctor tells more',
  },
  ERR_BPFFS_UNAVAILABLE: {
    exitCode: EXIT.kernelLacks,
    message: 'no usable BPF file system for {path}: {reason}',
    nextStep: 'mount -t bpf bpf /sys/fs/bpf, or set pins.path to a folder on a mounted one',
  },
  ERR_FOREIGN_PIN: {
    exitCode: EXIT.no,
    message: 'cannot use the pin {path}: {reason}',
    nextStep: 'loopwarden uninstall of the version that made it, or remove it by hand, then start again',
  },
  ERR_NOT_LOADED: {
    exitCode: EXIT.no,
    message: 'there is nothing to go on with: {reason}',
    nextStep:
      'run loopwarden load first, of the same version; or loopwarden run without --loaded, which loads by itself',
  },
  ERR_TRACES_LEFT: {
    exitCode: EXIT.no,
    message: 'something is still there: {what}',
    nextStep: 'see who holds it with bpftool prog and bpftool link, or boot again',
  },
  ERR_HOOK_UNAVAILABLE: {
    exitCode: EXIT.kernelLacks,
    message: 'no link attaches to the hook {hook}: {reason}',
    nextStep: 'loopwarden doctor shows each link and the kernel that it needs',
  },
  ERR_PROGRAM_REFUSED: {
    exitCode: EXIT.kernelLacks,
    message: 'the kernel refused the program {program}: {reason}',
    nextStep: 'report it with the output of loopwarden doctor --json',
  },
  ERR_ALREADY_RUNNING: {
    exitCode: EXIT.no,
    message: 'another agent is running: {trace}',
    nextStep: 'stop it first; a host has one agent',
  },
  ERR_PORT_IN_USE: {
    exitCode: EXIT.usage,
    message: 'cannot listen on {address}: {reason}',
    nextStep: 'stop the program that has the port, or change http.address or http.port',
  },
  ERR_PASSED_SOCKET: {
    exitCode: EXIT.usage,
    message: 'the socket that the service manager passes cannot be used: {reason}',
    nextStep: 'have loopwarden.socket listen on one TCP address, or disable it',
  },
  ERR_WEB_CONFIG: {
    exitCode: EXIT.usage,
    message: 'cannot use the web config: {reason}',
    nextStep: 'mend that place; docs/access.md says what the file takes',
  },
  ERR_OPEN_ADDRESS: {
    exitCode: EXIT.usage,
    message:
      'refusing to listen on {address}: others than this host could reach it, and nobody would be asked who they are',
    nextStep:
      'name a file with users or client certificates as http.web_config, or set http.allow_unauthenticated: true',
  },
  ERR_SOCKET_PATH: {
    exitCode: EXIT.usage,
    message: 'cannot make the control socket {path}: {reason}',
    nextStep: 'remove what is in the way, or change api.socket',
  },
  ERR_AUDIT_LOG: {
    exitCode: EXIT.usage,
    message: 'cannot open the audit log {path}: {reason}',
    nextStep: 'make the folder writable, or name another file with --audit-log (- is stdout)',
  },
  ERR_AUDIT_KEY: {
    exitCode: EXIT.usage,
    message: 'cannot use the audit key {path}: {reason}',
    nextStep:
      'name a key that can be read (audit.key_path, --public-key), or do without checkpoints (audit.chain)',
  },
  ERR_SYSLOG_TLS: {
    exitCode: EXIT.usage,
    message: 'cannot send syslog over TLS: {reason}',
    nextStep: 'name PEM files that root can read as audit.syslog_ca, audit.syslog_cert and audit.syslog_key',
  },
  ERR_NO_AUDIT_LOG: {
    exitCode: EXIT.usage,
    message: 'cannot read the audit log {path}: {reason}',
    nextStep: 'name its files, or its path with --audit-log; without --log the agent is asked',
  },
  ERR_AGENT_NOT_RUNNING: {
    exitCode: EXIT.agentNotRunning,
    message: 'no agent answers on {path}',
    nextStep: 'start it with loopwarden run, or name its socket with --socket',
  },
  ERR_AGENT_REFUSED: {
    exitCode: EXIT.no,
    message: 'the agent did not do it: {reason}',
    nextStep: "see the agent's log",
  },
  ERR_NO_SUCH_DEVICE: {
    exitCode: EXIT.no,
    message: 'no loop device {device}',
    nextStep: 'loopwarden devices lists them',
  },
  ERR_NO_SUCH_USERNS: {
    exitCode: EXIT.no,
    message: 'no process is in the user namespace {inum}',
    nextStep: 'it may have ended meanwhile',
  },
  ERR_LOOPFS_NOT_RUNNING: {
    exitCode: EXIT.agentNotRunning,
    message: 'no loopfs answers on {path}',
    nextStep: 'start it with loopwarden loopfs serve, or name its socket with --loopfs-socket',
  },
  ERR_LOOPFS_UNAVAILABLE: {
    exitCode: EXIT.kernelLacks,
    message: 'the kernel makes no file system for an instance: {reason}',
    nextStep: 'load the module fuse; kernels before 5.6 have no detached mounts',
  },
  ERR_LOOPFS_STATE: {
    exitCode: EXIT.usage,
    message: 'cannot keep the state of instances in {path}: {reason}',
    nextStep: 'make the folder writable, or change loopfs.folder',
  },
  ERR_NO_SUCH_INSTANCE: {
    exitCode: EXIT.no,
    message: 'no instance {name}',
    nextStep: 'loopwarden loopfs list shows them',
  },
  ERR_INSTANCE_EXISTS: {
    exitCode: EXIT.no,
    message: 'there is an instance {name} already',
    nextStep: 'take another name, or end it with loopwarden loopfs detach {name}',
  },
  ERR_INSTANCE_PLACED: {
    exitCode: EXIT.no,
    message: 'the instance {name} is in a container already (process {pid})',
    nextStep: 'an instance is for one container: create another',
  },
  ERR_HOST_INSTANCE: {
    exitCode: EXIT.no,
    message: 'the instance {name} is the host’s own',
    nextStep: 'it is for no container: create another',
  },
  ERR_HOST_PLACE: {
    exitCode: EXIT.usage,
    message: 'cannot mount the host’s own instance on {path}: {reason}',
    nextStep: 'make room there, or change loopfs.host_mount',
  },
  ERR_PLACEMENT: {
    exitCode: EXIT.no,
    message: 'cannot place the instance {name} into process {pid}: {reason}',
    nextStep: 'check that the process runs, and has a mount namespace of its own',
  },
  ERR_NO_CONTAINER: {
    exitCode: EXIT.no,
    message: 'process {pid} is no container: {reason}',
    nextStep: 'name a running process of the container, by its pid on the host',
  },
  ERR_CONTAINER_DEV: {
    exitCode: EXIT.no,
    message: '{reason}',
    nextStep: 'give the container a writable /dev of its own without loop nodes; see docs/loopfs.md',
  },
  ERR_RESCAN: {
    exitCode: EXIT.no,
    message: 'cannot read the partitions of {device} anew: {reason}',
    nextStep:
      'run it in the container, on a whole device set up with losetup -P and with no partition in use',
  },
  ERR_ATTACH: {
    exitCode: EXIT.no,
    message: 'no device for {image}: {reason}',
    nextStep:
      'run it in a container that has an instance, on a regular file that it may write (or with --read-only)',
  },
  ERR_HOOK_STATE: {
    exitCode: EXIT.usage,
    message: 'no OCI container state on stdin: {reason}',
    nextStep: 'have the OCI runtime call it, as a createRuntime and a poststop hook; see docs/loopfs.md',
  },
  ERR_DEVICE_RULES: {
    exitCode: EXIT.usage,
    message: 'the container’s device cgroup would refuse its loop devices: {reason}',
    nextStep: 'add to linux.resources.devices of the bundle: {rules}',
  },
  ERR_CAPABILITIES: {
    exitCode: EXIT.notPermitted,
    message: 'the agent cannot give up its capabilities: {reason}',
    nextStep: 'let it call capset(2) and prctl(2): a seccomp filter around it may refuse them',
  },
  ERR_DEVTMPFS: {
    exitCode: EXIT.notPermitted,
    message: 'cannot reach the nodes of devices: {reason}',
    nextStep:
      'let the agent mount devtmpfs and make nodes (packaging/systemd/devices.conf), or leave hide.devnode and reap.mode as they were',
  },
  ERR_RECORDING: {
    exitCode: EXIT.usage,
    message: 'cannot play the recording {path}: {reason}',
    nextStep:
      'build it in with npm run build; if it is older than this source, record it anew as root: npm run record-demo',
  },
  ERR_ONLY_A_DEMO: {
    exitCode: EXIT.no,
    message: 'this is a demo, which plays a recording: it cannot {action}',
    nextStep: 'start the real agent as root with loopwarden run',
  },
  ERR_DEMO_NEEDS: {
    exitCode: EXIT.kernelLacks,
    message: 'the live demo needs {what}',
    nextStep: '{remedy}, or see the recorded one: loopwarden demo',
  },
  ERR_ABI_MISMATCH: {
    exitCode: EXIT.no,
    message: 'the BPF object and the agent were built from different sources ({expected} and {found})',
    nextStep: 'build both again: npm run build',
  },
  ERR_INTERNAL: {
    exitCode: EXIT.no,
    message: 'internal error: {reason}',
    nextStep: 'this is a bug: report it with the output of loopwarden doctor --json',
  },
} as const;

export type ErrorCode = keyof typeof ERRORS;

type Names<T extends string> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;

/** What the message and the next step of a code need filled in. */
export type ErrorDetails<C extends ErrorCode> = Record<
  Names<(typeof ERRORS)[C]['message']> | Names<(typeof ERRORS)[C]['nextStep']>,
  string | number
>;

export interface ErrorContext {
  /** Where it went wrong: `file:line:column`, an environment variable, a flag. */
  where?: string;
  cause?: unknown;
}

export class LoopwardenError extends Error {
  readonly code: ErrorCode;
  readonly exitCode: ExitCode;
  readonly where: string | undefined;
  readonly nextStep: string;

  constructor(code: ErrorCode, message: string, nextStep: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = 'LoopwardenError';
    this.code = code;
    this.exitCode = ERRORS[code].exitCode;
    this.where = context.where;
    this.nextStep = nextStep;
  }
}

/** Makes the error of a code with its message and next step filled in. */
export function createError<C extends ErrorCode>(
  code: C,
  details: ErrorDetails<C>,
  context: ErrorContext = {},
): LoopwardenError {
  const { message, nextStep } = ERRORS[code];
  return new LoopwardenError(code, fill(message, details), fill(nextStep, details), context);
}

/** One line for people: `loopwarden: <where>: <message>; <next step>`. Control characters are escaped. */
export function renderErrorLine(error: unknown): string {
  const known =
    error instanceof LoopwardenError ? error : createError('ERR_INTERNAL', { reason: reasonOf(error) });
  const place = known.where === undefined ? '' : `${known.where}: `;
  return `loopwarden: ${escapeControls(`${place}${known.message}; ${known.nextStep}`)}`;
}

/** The exit code for whatever was thrown. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof LoopwardenError ? error.exitCode : ERRORS.ERR_INTERNAL.exitCode;
}

/** The words of something thrown, for the `reason` of another error. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether a value is one of the codes of the table; errors that crossed the control socket carry one. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

function fill(template: string, details: Record<string, string | number>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => String(details[name]));
}

// Names from the kernel and from files end up in messages; they must not move a terminal's cursor, or hide in it.
function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
