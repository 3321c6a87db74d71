/** A diagnosis for a person. */
import type { Colors } from './color.js';
import { alignedTable } from './column-table.js';
import type { Diagnosis } from './diagnosis.js';
import type { MendReport } from './mends.js';
import { RECEIVER_COLUMNS } from './receiver-columns.js';
import { table } from './table.js';

export function renderDiagnosis(
  { kernel, hooks, agent, receivers, degraded, mends, config }: Diagnosis,
  colors: Colors,
  columns?: number,
): string {
  const sections = [
    `kernel ${kernel.release}`,
    table([
      ['  BTF', kernel.btf ? 'available' : 'missing'],
      ['  namespace ids (ns_id)', kernel.nsId ? 'available' : 'missing (6.18 and newer have them)'],
      ['  boot’s LSM list', kernel.lsm ?? 'unknown: securityfs is not mounted'],
      ...kernel.links.map((link) => [
        `  ${link.kind}`,
        `${link.available ? 'available' : 'unavailable'}: ${link.reason}${link.available ? '' : ` (Linux ${link.since} and newer can)`}`,
      ]),
    ]),
    '',
    'hooks',
    painted(
      table(hooks.map(({ hook, link, state, why }) => [`  ${hook}`, `${state} by ${link}`, why])),
      colors,
    ),
    '',
    agent
      ? `agent ${agent.version} (pid ${agent.pid}): filter ${agent.filterMode}, audit log ${agent.auditLog}, ${agent.metricsUrl}/metrics`
      : 'agent: not running (start it with loopwarden run)',
  ];
  if (receivers.length > 0)
    sections.push(
      '',
      'receivers',
      indented(
        alignedTable(receivers, RECEIVER_COLUMNS, {
          headings: true,
          colors,
          columns: columns && columns - INDENT.length,
        }),
      ),
    );
  if (mends.length > 0) sections.push('', 'host', ...mends.map((mend) => mendWords(mend, colors)));
  sections.push('', 'degraded');
  for (const { what, mend } of degraded) sections.push(table([[`  ${what}`]]), `    to mend: ${mend}`);
  if (degraded.length === 0) sections.push('  nothing');
  sections.push(
    '',
    'config',
    table(config.map(({ key, value, origin }) => [`  ${key}`, JSON.stringify(value), origin])),
  );
  return sections.join('\n');
}

const INDENT = '  ';

const indented = (text: string): string => text.replaceAll(/^/gm, INDENT);

/** States are words of ours: nothing from outside is looked for. */
function painted(text: string, { green, red }: Colors): string {
  return text
    .replaceAll(/ (attached|would attach) by /g, (_, state: string) => ` ${green(state)} by `)
    .replaceAll(/ (failed|unsupported) by /g, (_, state: string) => ` ${red(state)} by `);
}

function mendWords({ what, remedy, mended, reason }: MendReport, { green, red, yellow }: Colors): string {
  const problem = table([[`  ${what}`]]);
  const remedyWords = table([[remedy]]);
  if (mended === null) return `${yellow(problem)}\n    to mend: loopwarden doctor --fix (${remedyWords})`;
  if (mended) return `${green(problem)}\n    mended: ${remedyWords}`;
  return `${red(problem)}\n    cannot be mended: ${remedyWords}: ${table([[reason ?? '']])}`;
}
