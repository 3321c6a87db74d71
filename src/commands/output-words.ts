/** In words: where lines of the audit log go besides its file, and what of that somebody may not have meant. */
import { existsSync } from 'node:fs';
import type { Config } from '../config/schema.js';
import type { OutputName } from '../sinks/audit-output.js';
import { parseSyslogAddress, type SyslogAddress } from '../sinks/syslog-address.js';

type AuditConfig = Config['audit'];

export function outputWords(audit: AuditConfig): string {
  const outputs = [...new Set(audit.outputs)];
  if (outputs.length === 0) return 'nowhere else: audit.outputs is empty';
  const words = outputs.map((name) => OUTPUTS[name](audit)).join('; ');
  return `${words}. Nothing waits for them: what they do not take is counted, and only the file has it`;
}

const OUTPUTS: Record<OutputName, (audit: AuditConfig) => string> = {
  journald: (audit) => `each line to the host’s journal, with its fields (audit.schema ${audit.schema})`,
  syslog: (audit) => `each line to syslog, ${syslogWords(audit)} (audit.schema ${audit.schema})`,
  otlp: ({ otlp_url: url }) => `each line as a log record to the collector at ${url}`,
};

function syslogWords(audit: AuditConfig): string {
  const to = parseSyslogAddress(audit.syslog_address);
  if (to === undefined || to.transport === 'local') return `by the socket ${audit.syslog_address}`;
  const name = `${to.host}, port ${to.port}`;
  if (to.transport !== 'tls') return `over ${to.transport.toUpperCase()} to ${name}, unencrypted`;
  const by = audit.syslog_ca === '' ? 'a public authority vouches for' : `${audit.syslog_ca} vouches for`;
  const shown =
    audit.syslog_cert === '' ? 'which is shown no certificate' : `which is shown ${audit.syslog_cert}`;
  return `over TLS to ${name}, if ${by} its name, ${shown}`;
}

const LOOPBACK = /^(localhost$|127\.|::1$|0:0:0:0:0:0:0:1$)/;

export function outputWarnings(audit: AuditConfig): string[] {
  const to = parseSyslogAddress(audit.syslog_address);
  return [
    ...(audit.outputs.includes('syslog') ? syslogWarnings(audit, to) : unusedSyslog(to)),
    ...(audit.outputs.includes('otlp') && isReadable(audit.otlp_url)
      ? [`audit.otlp_url is ${audit.otlp_url}: whoever is on the way reads the lines`]
      : []),
  ];
}

function syslogWarnings(audit: AuditConfig, to: SyslogAddress | undefined): string[] {
  if (to === undefined || to.transport === 'local') return [];
  if (to.transport !== 'tls')
    return LOOPBACK.test(to.host)
      ? []
      : [
          `audit.syslog_address is ${audit.syslog_address}: whoever is on the way reads the lines, and can change them`,
        ];
  const files = [audit.syslog_ca, audit.syslog_cert, audit.syslog_key];
  return [
    ...files
      .filter((path) => path !== '' && !existsSync(path))
      .map((path) => `there is no ${path}: the agent will not start`),
    ...((audit.syslog_cert === '') === (audit.syslog_key === '')
      ? []
      : ['of audit.syslog_cert and audit.syslog_key one is missing: the agent will not start']),
  ];
}

function unusedSyslog(to: SyslogAddress | undefined): string[] {
  return to === undefined || to.transport === 'local'
    ? []
    : ['audit.outputs lacks syslog: nothing is sent to audit.syslog_address'];
}

function isReadable(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !LOOPBACK.test(hostname.replace(/^\[|\]$/g, ''));
}
