/** Lines of the audit log to systemd's journal. Loaded only where it is configured. */
import type { AuditOutput } from './audit-output.js';
import type { LineMapper } from './audit-schema.js';
import { journalEntry } from './journal-entry.js';
import { parseLine } from './line-fields.js';
import { openLocalDelivery } from './local-delivery.js';
import { createOutputQueue, type OutputQueueOptions } from './output-queue.js';

export interface JournaldOutputOptions extends OutputQueueOptions {
  map: LineMapper;
  path?: string;
}

export const JOURNAL_SOCKET = '/run/systemd/journal/socket';
/** Sent without a turn of the event loop between them. */
const BATCH_LINES = 64;

export function openJournaldOutput({
  map,
  path = JOURNAL_SOCKET,
  ...options
}: JournaldOutputOptions): AuditOutput {
  return createOutputQueue<Buffer>(
    {
      ...openLocalDelivery(path),
      encode: (line) => journalEntry(parseLine(line) ?? {}, map(line) ?? line),
    },
    { batchLines: BATCH_LINES, ...options },
  );
}
