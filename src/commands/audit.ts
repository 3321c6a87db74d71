/** `loopwarden audit verify`: is the audit log what the agent wrote? */
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createError, EXIT, type ExitCode, reasonOf } from '../errors.js';
import type { LogPart, PartSearch } from '../sinks/log-parts.js';
import type { Finding, LinePlace, VerificationReport } from '../sinks/verification-report.js';
import type { Command, CommandContext, CommandGroup } from './command.js';
import { SCHEMA_OPTION } from './schema-option.js';
import { table } from './table.js';

const verify: Command = {
  name: 'verify',
  rest: 'PATH',
  summary:
    'check the audit log, with its rotated files, against its signed checkpoints; say what was changed, taken out, put in or cut off, and where',
  options: [
    { flags: '--public-key <file>', description: 'PEM, one or more (default: audit.key_path with .pub)' },
    {
      flags: '--state <file>',
      description: 'the last checkpoint as the agent kept it (default: audit.key_path with .state)',
    },
  ],
  async action(context): Promise<ExitCode> {
    const report = await verifyWhole(context).catch(refuse);
    context.print(context.json ? report : render(report));
    return report.ok ? EXIT.ok : EXIT.no;
  },
};

const exporting: Command = {
  name: 'export',
  optionalArgument: 'PATH',
  summary: 'write the audit log, with its rotated files, to stdout, for a system that keeps events',
  details: [
    'One line of JSON an event, oldest first; without --schema as they are, checkpoints and all. In the other forms what has no field of theirs stays under its own name, and checkpoints are left out, since they vouch for the bytes of the log.',
  ],
  options: [
    SCHEMA_OPTION,
    { flags: '--since <time>', description: 'not those before' },
    { flags: '--until <time>', description: 'not those after' },
    { flags: '--host <name>', description: 'whose log it is (default: this host)' },
  ],
  examples: [
    { words: 'audit export --schema ecs --since yesterday', what: 'for Elasticsearch' },
    {
      words: 'audit export /mnt/var/log/loopwarden/audit.ndjson --schema ocsf --host web1',
      what: 'of another host',
    },
  ],
  async action(context) {
    const { exportLog } = await import('./audit-export.js');
    return exportLog(context);
  },
};

export const audit: CommandGroup = {
  name: 'audit',
  summary: 'verify the audit log, and hand it on',
  commands: [verify, exporting],
};

const MOST_TURNS = 5;
/** Before what looks like an end that was cut off is looked at again. */
const ROTATION_MS = 100;

/** A running agent may rotate the log meanwhile: then what was read was not one log, and it is read again. */
async function verifyWhole({ loaded, args, options }: CommandContext): Promise<VerificationReport> {
  // Only here: other commands start faster without.
  const [{ publicKeyPath, readPublicKeys }, { chainStatePath, readChainState }, verification, parts] =
    await Promise.all([
      import('../sinks/audit-key.js'),
      import('../sinks/chain-state.js'),
      import('../sinks/chain-verification.js'),
      import('../sinks/log-parts.js'),
    ]);
  const { path, key_path: keyPath } = loaded.config.audit;
  const paths = args.length === 0 ? [path] : args.map((each) => resolve(each));
  const publicKeys = readPublicKeys(textOption(options.publicKey) ?? publicKeyPath(keyPath));
  const search = verification.searchOf(publicKeys);
  const statePath = textOption(options.state);

  const list = (): LogPart[] => listParts(paths, search, parts);
  for (let turn = 1; ; turn++) {
    // Before the files: the agent writes it after them.
    const kept = readChainState(statePath ?? chainStatePath(keyPath));
    // Named, it is about this log, wherever that was moved; else only if it says so.
    const state = statePath !== undefined || (kept && paths.includes(kept.path)) ? kept : undefined;
    if (statePath !== undefined && kept === undefined)
      throw createError('ERR_USAGE', { reason: `${statePath} is no state of an audit log` });
    const found = list();
    if (found.length === 0 && state === undefined)
      throw createError('ERR_NO_AUDIT_LOG', { path: paths.join(' '), reason: 'there is none' });
    const report = await verification
      .verifyLog({ parts: found, publicKeys, state })
      .catch((error: unknown) => {
        // Renamed since it was listed.
        if (turn < MOST_TURNS && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      });
    // A rotation ends a file before there is the next one.
    const isCut = report?.findings.some(({ kind }) => kind === 'truncated') === true;
    const isOneLog = !isCut && parts.areSameParts(found, list());
    if (report && (turn === MOST_TURNS || isOneLog)) return report;
    if (isCut) await delay(ROTATION_MS);
  }
}

/** One path brings the files that were rotated away from it; of several each is what it is. */
function listParts(
  paths: readonly string[],
  search: PartSearch,
  { listLogParts, describePart, orderParts }: typeof import('../sinks/log-parts.js'),
): LogPart[] {
  const [path = '', ...others] = paths;
  if (others.length === 0) return listLogParts(path, search);
  const parts = paths.map((each) => {
    const [part] = describePart(each, search);
    if (part === undefined) throw createError('ERR_NO_AUDIT_LOG', { path: each, reason: 'there is none' });
    return part;
  });
  return orderParts(parts);
}

function refuse(error: unknown): never {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') throw createError('ERR_NOT_ROOT', { action: reasonOf(error) });
  throw error;
}

function textOption(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function render(report: VerificationReport): string {
  const { ok, findings, more, notes } = report;
  const rows = findings.flatMap(rowsOf);
  const many = findings.length + more;
  return [
    ...(rows.length > 0 ? [table(rows)] : []),
    ...(more > 0 ? [`and ${more} more`] : []),
    ...notes.map((note) => table([['note', note]])),
    ok
      ? `fine: ${provenWords(report)}`
      : `${many} ${many === 1 ? 'finding' : 'findings'}: the log is not what the agent wrote; ${provenWords(report)}`,
  ].join('\n');
}

function rowsOf({ kind, from, to, suspects, words }: Finding): string[][] {
  return [
    [placeText(from, to), seqText(from, to), kind, words],
    ...suspects.map((each) => [`  ${placeText(each.at)}`, seqText(each.at), each.kind, each.words]),
  ];
}

function placeText(from: LinePlace, to = from): string {
  if (from.file !== to.file) return `${from.file}:${from.line} to ${to.file}:${to.line}`;
  return from.line === to.line ? `${from.file}:${from.line}` : `${from.file}:${from.line}-${to.line}`;
}

function seqText(from: LinePlace, to = from): string {
  const seqs = [from.seq, to.seq].filter((seq) => seq !== undefined);
  return seqs.length === 0 ? '' : `seq ${[...new Set(seqs)].join(' to ')}`;
}

function provenWords({
  lines,
  files,
  checkpoints,
  firstCheckpoint,
  lastCheckpoint,
  lastTime,
}: VerificationReport) {
  const amount = `${lines - checkpoints} lines in ${files.length} ${files.length === 1 ? 'file' : 'files'}`;
  if (firstCheckpoint === undefined) return `${amount}, no checkpoint`;
  return `${amount}, checkpoints ${firstCheckpoint} to ${lastCheckpoint}, the last of ${lastTime}`;
}
