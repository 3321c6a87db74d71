/** Lines of the audit log to syslog: of this host, or over a network. Loaded only where it is configured. */
import { hostname } from 'node:os';
import type { AuditOutput, OutputSender } from './audit-output.js';
import type { LineMapper } from './audit-schema.js';
import { type LineFields, parseLine } from './line-fields.js';
import { openLocalDelivery } from './local-delivery.js';
import { createOutputQueue, type OutputQueueOptions } from './output-queue.js';
import { parseSyslogAddress } from './syslog-address.js';
import { localMessage, networkMessage, type SyslogOptions } from './syslog-message.js';
import { openTcpDelivery, openUdpDelivery } from './syslog-network.js';

export interface SyslogOutputOptions extends OutputQueueOptions {
  map: LineMapper;
  /** Of the config: `/dev/log`, `udp://host:514`, `tcp://host:601`. */
  address: string;
}

/** Sent without a turn of the event loop between them. */
const BATCH_LINES = 64;

/** @throws for an address that the config would not take */
export function openSyslogOutput({ map, address, ...options }: SyslogOutputOptions): AuditOutput {
  const { write, ...delivery } = openDelivery(address);
  const { pid } = process;
  const host = hostname();
  let count = 0;
  return createOutputQueue<Buffer>(
    {
      ...delivery,
      encode(line) {
        count++;
        return Buffer.from(write(parseLine(line) ?? {}, map(line) ?? line, { host, pid, count }));
      },
    },
    { batchLines: BATCH_LINES, ...options },
  );
}

interface SyslogDelivery extends Pick<OutputSender<Buffer>, 'deliver' | 'close'> {
  write(fields: LineFields, text: string, options: SyslogOptions): string;
}

function openDelivery(address: string): SyslogDelivery {
  const to = parseSyslogAddress(address);
  if (to === undefined) throw new Error(`${address} is no address of syslog`);
  if (to.transport === 'local') return { ...openLocalDelivery(to.path), write: localMessage };
  const open = to.transport === 'udp' ? openUdpDelivery : openTcpDelivery;
  return { ...open(to), write: networkMessage };
}
