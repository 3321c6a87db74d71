/** `--schema`: in which form lines of the audit log are told. */
import { createError } from '../errors.js';
import { type LineMapper, openSchema, SCHEMA_NAMES } from '../sinks/audit-schema.js';
import type { CommandOption } from './command.js';
import { notice } from './notice.js';

export const SCHEMA_OPTION: CommandOption = {
  flags: '--schema <name>',
  description: `NDJSON in the form of ${SCHEMA_NAMES.join(', ')}: the audit log’s own, Open Cybersecurity Schema Framework, Elastic Common Schema, OpenTelemetry`,
  values: SCHEMA_NAMES,
};

export interface SchemaPrinter {
  map: LineMapper;
  /** Tells how many lines were none of the agent's, if there were any; checkpoints are for the log alone. */
  end(): void;
}

/** Undefined where the option is not given. `host`: whose log it is, if not this one's. @throws ERR_USAGE */
export async function openSchemaOption(given: unknown, host?: string): Promise<SchemaPrinter | undefined> {
  if (given === undefined) return undefined;
  const name = SCHEMA_NAMES.find((each) => each === given);
  if (name === undefined)
    throw createError('ERR_USAGE', {
      reason: `--schema takes ${SCHEMA_NAMES.join(', ')}, not "${String(given).slice(0, 80)}"`,
    });
  const map = await openSchema(name, host);
  let others = 0;
  return {
    map(line) {
      const text = map(line);
      if (text === undefined && !CHECKPOINT.test(line)) others++;
      return text;
    },
    end() {
      if (others > 0)
        notice(`${others} ${others === 1 ? 'line is' : 'lines are'} no event of the agent’s, and left out`);
    },
  };
}

const CHECKPOINT = /^\{"time":"[^"]*","boot_ns":\d+,"kind":"checkpoint",/;
