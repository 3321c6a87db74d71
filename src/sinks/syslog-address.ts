/** Where syslog is, as the config names it. */

export type NetworkTransport = 'udp' | 'tcp' | 'tls';

export type SyslogAddress =
  | { transport: 'local'; path: string }
  | { transport: NetworkTransport; host: string; port: number };

const LOCAL = /^\/[^\0]{1,106}$/;
const NETWORK = /^(udp|tcp|tls):\/\/(\[[\da-fA-F:.]+\]|[\w.-]{1,253}):(\d{1,5})$/;
const LAST_PORT = 65_535;

/** Of `/dev/log`, `udp://host:514`, `tcp://[::1]:601`, `tls://host:6514`; undefined for anything else. */
export function parseSyslogAddress(address: string): SyslogAddress | undefined {
  if (LOCAL.test(address)) return { transport: 'local', path: address };
  const [, transport, host = '', digits] = NETWORK.exec(address) ?? [];
  const port = Number(digits);
  if (transport === undefined || port < 1 || port > LAST_PORT) return undefined;
  return { transport: transport as NetworkTransport, host: host.replace(/^\[|\]$/g, ''), port };
}
