/**
 * Builds the Debian package of what is built in this clone: build/deb/loopwarden_VERSION_ARCHITECTURE.deb.
 *
 * The same clone gives the same bytes: times are those of packaging/debian/changelog (or SOURCE_DATE_EPOCH), owner is root, order and
 * modes are fixed. Needs dpkg-dev.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { renderCopyright } from './deb-copyright.js';
import {
  COMMAND,
  COMPLETIONS,
  CONFFILES,
  COPYRIGHT,
  LAYOUT,
  LEFT_OUT,
  MAIN,
  NATIVE_MODULES,
  type Placed,
} from './deb-layout.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUTPUT = join(ROOT, 'build/deb');
const SCRIPTS = ['postinst', 'prerm', 'postrm'];
const BUNDLE_REPORTS = ['dist/.bundle.json', 'dist/.page.json'];

/** The builder's own settings for an agent or a test have no say in what is packed. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('LOOPWARDEN_')),
);

const run = (file: string, args: readonly string[], options: { cwd?: string } = {}): string =>
  execFileSync(file, args, { encoding: 'utf8', cwd: ROOT, env: ENVIRONMENT, ...options });

/** Returns the package's path. */
function build(): string {
  checkNeeds();
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const changelog = ['-l', 'packaging/debian/changelog'];
  const stated = run('dpkg-parsechangelog', [...changelog, '-SVersion']).trim();
  if (stated !== version)
    throw new Error(`packaging/debian/changelog is of ${stated}, package.json of ${version}: add an entry`);
  const epoch = Number(
    process.env.SOURCE_DATE_EPOCH ?? run('dpkg-parsechangelog', [...changelog, '-STimestamp']),
  );
  const architecture = run('dpkg', ['--print-architecture']).trim();

  mkdirSync(OUTPUT, { recursive: true });
  const stage = mkdtempSync(join(OUTPUT, 'stage-'));
  try {
    for (const placed of LAYOUT) place(stage, placed);
    placeGenerated(stage);
    writeControl(stage, version, architecture);
    settle(stage, epoch);
    const name = join(OUTPUT, `loopwarden_${version}_${architecture}.deb`);
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', stage, name], {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return name;
  } finally {
    rmSync(stage, { recursive: true });
  }
}

function checkNeeds(): void {
  for (const path of [...NATIVE_MODULES, 'dist/main.js', ...BUNDLE_REPORTS])
    if (!existsSync(join(ROOT, path))) throw new Error(`${path} is missing: npm run build`);
  for (const tool of ['dpkg-deb', 'dpkg-parsechangelog', 'dpkg-shlibdeps'])
    if (!process.env.PATH?.split(':').some((folder) => existsSync(join(folder, tool))))
      throw new Error(`${tool} is missing: apt-get install dpkg-dev`);
}

function filesOf(path: string): string[] {
  if (!statSync(join(ROOT, path)).isDirectory()) return [path];
  return readdirSync(join(ROOT, path)).flatMap((name) => filesOf(join(path, name)));
}

function place(stage: string, { from, to, mode, compressed }: Placed): void {
  const files = filesOf(from).filter((path) => !LEFT_OUT.some((pattern) => pattern.test(path)));
  if (files.length === 0) throw new Error(`${from} has nothing for the package`);
  for (const path of files) {
    const target = join(to, relative(from, path));
    const content = readFileSync(join(ROOT, path));
    const executable = (statSync(join(ROOT, path)).mode & 0o100) !== 0 && !path.endsWith('.node');
    if (compressed) write(stage, `${target}.gz`, gzipSync(content, { level: 9 }));
    else write(stage, target, content, mode ?? (executable ? 0o755 : 0o644));
  }
}

function write(stage: string, path: string, content: string | Buffer, mode = 0o644): void {
  const full = join(stage, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  chmodSync(full, mode);
}

function placeGenerated(stage: string): void {
  // The node of the package that is depended on, whatever the caller's PATH has.
  const main = readFileSync(join(stage, MAIN), 'utf8');
  write(stage, MAIN, main.replace(/^#!.*/, '#!/usr/bin/node'), 0o755);
  mkdirSync(join(stage, dirname(COMMAND)), { recursive: true });
  symlinkSync(relative(dirname(COMMAND), MAIN), join(stage, COMMAND));
  for (const [shell, path] of Object.entries(COMPLETIONS))
    write(stage, path, run(process.execPath, ['dist/main.js', 'completion', shell]));
  write(stage, COPYRIGHT, renderCopyright(ROOT, BUNDLE_REPORTS));
}

function writeControl(stage: string, version: string, architecture: string): void {
  const files = filesBelow(stage);
  const values: Record<string, string> = {
    VERSION: version,
    ARCHITECTURE: architecture,
    INSTALLED_SIZE: String(
      files.reduce((sum, path) => sum + Math.ceil(statSync(join(stage, path)).size / 1024), 0),
    ),
    SHARED_LIBRARIES: sharedLibraries(),
  };
  const control = readFileSync(join(ROOT, 'packaging/debian/control'), 'utf8');
  write(
    stage,
    'DEBIAN/control',
    control.replace(/@(\w+)@/g, (_, name: string) => values[name] ?? `@${name}@`),
  );
  write(stage, 'DEBIAN/conffiles', CONFFILES.map((path) => `${path}\n`).join(''));
  const sums = files.map((path) => `${md5Of(join(stage, path))}  ${path}\n`);
  write(stage, 'DEBIAN/md5sums', sums.join(''));
  for (const name of SCRIPTS)
    write(stage, `DEBIAN/${name}`, readFileSync(join(ROOT, 'packaging/debian', name)), 0o755);
}

/** Regular files, in a fixed order. */
function filesBelow(stage: string): string[] {
  const names = readdirSync(stage, { recursive: true, withFileTypes: true });
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => relative(stage, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

function md5Of(path: string): string {
  return createHash('md5').update(readFileSync(path)).digest('hex');
}

/** As dpkg-shlibdeps finds it from the symbols that the modules use: `libc6 (>= …)`. */
function sharedLibraries(): string {
  const folder = mkdtempSync(join(OUTPUT, 'shlibdeps-'));
  try {
    mkdirSync(join(folder, 'debian'));
    writeFileSync(
      join(folder, 'debian/control'),
      'Source: loopwarden\nMaintainer: nobody <nobody@invalid>\n\nPackage: loopwarden\nArchitecture: any\n',
    );
    const modules = NATIVE_MODULES.map((path) => join(ROOT, path));
    const text = run('dpkg-shlibdeps', ['-O', '--ignore-missing-info', '--warnings=0', ...modules], {
      cwd: folder,
    });
    const found = /^shlibs:Depends=(.+)$/m.exec(text)?.[1];
    if (found === undefined) throw new Error('dpkg-shlibdeps says nothing of the native modules');
    return found;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** One time and one mode for whatever the builder's umask and clock made. */
function settle(stage: string, epoch: number): void {
  for (const entry of readdirSync(stage, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    lutimesSync(path, epoch, epoch);
  }
  chmodSync(stage, 0o755);
  lutimesSync(stage, epoch, epoch);
}

console.log(build());
