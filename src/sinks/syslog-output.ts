/** Lines of the audit log to syslog: of this host, or over a network. Loaded only where it is configured. */
import { hostname } from 'node:os';
import type { AuditOutput, OutputSender } from './audit-output.js';
import type { LineMapper } from './audit-schema.js';
import { type LineFields, parseLine } from './line-fields.js';
import { openLocalDelivery } from './local-delivery.js';
import { createOutputQueue, type OutputQueueOptions } from './output-queue.js';
import { type NetworkTransport, parseSyslogAddress } from './syslog-address.js';
import { localMessage, networkMessage, type SyslogOptions } from './syslog-message.js';
import {
  type NetworkAddress,
  type NetworkDelivery,
  openTcpDelivery,
  openUdpDelivery,
} from './syslog-network.js';
import { openTlsDelivery, type TlsFiles } from './syslog-tls.js';

export interface SyslogOutputOptions extends OutputQueueOptions {
  map: LineMapper;
  /** Of the config: `/dev/log`, `udp://host:514`, `tcp://host:601`, `tls://host:6514`. */
  address: string;
  /** For tls://; without: the server's name on Node's own authorities' word, and no certificate of ours. */
  tls?: TlsFiles;
}

const NO_FILES: TlsFiles = { ca: '', cert: '', key: '' };
const NETWORK: Record<NetworkTransport, (to: NetworkAddress, tls: TlsFiles) => NetworkDelivery> = {
  udp: openUdpDelivery,
  tcp: openTcpDelivery,
  tls: openTlsDelivery,
};

/** Sent without a turn of the event loop between them. */
const BATCH_LINES = 64;

/** @throws ERR_SYSLOG_TLS; for an address that the config would not take */
export function openSyslogOutput({
  map,
  address,
  tls = NO_FILES,
  ...options
}: SyslogOutputOptions): AuditOutput {
  const { write, ...delivery } = openDelivery(address, tls);
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

function openDelivery(address: string, tls: TlsFiles): SyslogDelivery {
  const to = parseSyslogAddress(address);
  if (to === undefined) throw new Error(`${address} is no address of syslog`);
  if (to.transport === 'local') return { ...openLocalDelivery(to.path), write: localMessage };
  return { ...NETWORK[to.transport](to, tls), write: networkMessage };
}
