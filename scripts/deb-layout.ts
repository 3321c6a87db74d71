/** What the Debian package holds, and where: paths of the clone → paths of the host. Everything else of a clone stays out. */

export interface Placed {
  /** Of the clone; a folder is taken with all that is in it. */
  from: string;
  to: string;
  /** Of files; folders have 0755. */
  mode?: number;
  /** By gzip, with `.gz` at its end. */
  compressed?: true;
}

const HOME = 'usr/lib/loopwarden';
const DOC = 'usr/share/doc/loopwarden';
const UNITS = 'usr/lib/systemd/system';

export const LAYOUT: readonly Placed[] = [
  { from: 'package.json', to: `${HOME}/package.json` },
  { from: 'dist', to: `${HOME}/dist` },
  { from: 'prebuilds', to: `${HOME}/prebuilds` },
  // All of node_modules that is not in the bundle: it looks for the native modules.
  ...['index.js', 'node-gyp-build.js', 'package.json'].map((name) => ({
    from: `node_modules/node-gyp-build/${name}`,
    to: `${HOME}/node_modules/node-gyp-build/${name}`,
  })),
  { from: 'packaging/debian/config.yaml', to: 'etc/loopwarden/config.yaml' },
  { from: 'packaging/systemd/loopwarden.service', to: `${UNITS}/loopwarden.service` },
  { from: 'packaging/systemd/loopwarden.socket', to: `${UNITS}/loopwarden.socket` },
  { from: 'packaging/systemd/loopwarden-loopfs.service', to: `${UNITS}/loopwarden-loopfs.service` },
  { from: 'packaging/systemd/tmpfiles.conf', to: 'usr/lib/tmpfiles.d/loopwarden.conf' },
  { from: 'packaging/systemd/network.conf', to: `${DOC}/examples/network.conf` },
  { from: 'packaging/systemd/old-kernel.conf', to: `${DOC}/examples/old-kernel.conf` },
  { from: 'packaging/systemd/devices.conf', to: `${DOC}/examples/devices.conf` },
  { from: 'packaging/oci/loopwarden.json', to: 'usr/share/loopwarden/oci/loopwarden.json' },
  { from: 'dashboards', to: 'usr/share/loopwarden/dashboards' },
  { from: 'packaging/man', to: 'usr/share/man/man8', compressed: true },
  { from: 'README.md', to: `${DOC}/README.md`, compressed: true },
  { from: 'docs', to: `${DOC}/docs` },
  { from: 'CHANGELOG.md', to: `${DOC}/CHANGELOG.md`, compressed: true },
  { from: 'packaging/debian/changelog', to: `${DOC}/changelog`, compressed: true },
  { from: 'packaging/debian/lintian-overrides', to: 'usr/share/lintian/overrides/loopwarden' },
];

/** Not for a host: what the builders remember, and the tests of the rules. */
export const LEFT_OUT: readonly RegExp[] = [/\/\.[^/]*$/, /\.test\.yaml$/, /^dist\/bpf\/abi\.o$/];

/** Of the shell's name. */
export const COMPLETIONS: Readonly<Record<'bash' | 'zsh' | 'fish', string>> = {
  bash: 'usr/share/bash-completion/completions/loopwarden',
  zsh: 'usr/share/zsh/vendor-completions/_loopwarden',
  fish: 'usr/share/fish/vendor_completions.d/loopwarden.fish',
};

export const COPYRIGHT = `${DOC}/copyright`;
export const MAIN = `${HOME}/dist/main.js`;
export const COMMAND = 'usr/bin/loopwarden';
/** Loaded by Node, or run: what they need of the host's libraries is asked of them. */
export const NATIVE_MODULES = [
  'prebuilds/linux-x64/loopwarden.node',
  'prebuilds/linux-x64/loopfs/loopfs.node',
] as const;
/** Files of the host that dpkg asks about before it replaces them. */
export const CONFFILES = ['/etc/loopwarden/config.yaml'] as const;
