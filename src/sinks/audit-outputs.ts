/** The outputs that the config wants. Each is loaded only then. */
import type { Config } from '../config/schema.js';
import type { AuditOutput, OutputName } from './audit-output.js';
import { openSchema } from './audit-schema.js';
import type { OutputQueueOptions } from './output-queue.js';

type AuditConfig = Config['audit'];

const OPENERS: Record<OutputName, (audit: AuditConfig, options: OutputQueueOptions) => Promise<AuditOutput>> =
  {
    async journald({ schema }, options) {
      const { openJournaldOutput } = await import('./journald-output.js');
      return openJournaldOutput({ map: await openSchema(schema), ...options });
    },
    async syslog({ schema, syslog_address: address, ...audit }, options) {
      const { openSyslogOutput } = await import('./syslog-output.js');
      const tls = { ca: audit.syslog_ca, cert: audit.syslog_cert, key: audit.syslog_key };
      return openSyslogOutput({ map: await openSchema(schema), address, tls, ...options });
    },
    async otlp({ otlp_url: url }, options) {
      const { createOtlpOutput } = await import('./otlp-output.js');
      return createOtlpOutput({ url, ...options });
    },
  };

/** What a person is told that takes no lines. */
const RECEIVER_WORDS: Record<OutputName, (audit: AuditConfig) => string> = {
  journald: () => 'the journal',
  syslog: ({ syslog_address: address }) => `syslog at ${address}`,
  otlp: ({ otlp_url: url }) => `the collector at ${url}`,
};

export async function openOutputs(
  audit: AuditConfig,
  onTrouble: (what: string, error: unknown) => void,
): Promise<Map<OutputName, AuditOutput>> {
  const opened = new Map<OutputName, AuditOutput>();
  for (const name of new Set(audit.outputs)) {
    const onState = (reason: string | undefined): void => {
      if (reason !== undefined) onTrouble(`${RECEIVER_WORDS[name](audit)} takes no lines`, new Error(reason));
    };
    opened.set(name, await OPENERS[name](audit, { onState }));
  }
  return opened;
}
