/**
 * Builds the native addon and, in a folder beside it, the module of loopfs into prebuilds/ without the network. Debian ships no headers of Node and node-gyp would
 * fetch them, so a header directory is made from npm's node-api-headers. The build happens in build/native, because
 * `node-gyp rebuild` empties the folder `build` beside binding.gyp.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));
const stage = join(root, 'build', 'native');
const headers = join(root, 'build', 'nodedir');
const stamp = join(stage, 'stamp');
const prebuilds = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
// In a folder of its own: node-gyp-build takes the first module that it finds in the upper one.
const outputs = {
  loopwarden: join(prebuilds, 'loopwarden.node'),
  loopfs: join(prebuilds, 'loopfs', 'loopfs.node'),
};
/** Programs for containers: static, with no need of anything there. */
const helpers = { 'loopwarden-rescan': 'rescan.c' };
const helperPath = (name) => join(prebuilds, name);

/** Hash of all that the result depends on; what apt upgrades is known by the archives' own bytes. */
function fingerprint() {
  const native = readdirSync(join(root, 'native')).map((name) => join(root, 'native', name));
  const archives = ['libbpf.a', 'libelf.a', 'libfuse3.a'].flatMap((name) =>
    [`/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/${name}`].filter(existsSync),
  );
  const inputs = [
    ...native.sort(),
    join(root, 'bpf', 'event.h'),
    join(root, 'binding.gyp'),
    fileURLToPath(import.meta.url),
    require.resolve('node-addon-api/package.json'),
    require.resolve('node-api-headers/package.json'),
    ...archives,
  ];
  const hash = createHash('sha256').update(process.arch);
  for (const path of inputs) hash.update(path).update('\0').update(readFileSync(path)).update('\0');
  return hash.digest('hex');
}

/** What node-gyp wants below --nodedir: headers, and two gypi files that here need nothing. */
function assembleHeaders() {
  const include = join(headers, 'include', 'node');
  rmSync(headers, { recursive: true, force: true });
  mkdirSync(include, { recursive: true });
  cpSync(require('node-api-headers').include_dir, include, { recursive: true });
  const defaults = {
    target_defaults: {
      default_configuration: 'Release',
      cflags: ['-pthread', '-fPIC'],
      ldflags: ['-pthread'],
      configurations: { Release: {}, Debug: {} },
    },
  };
  writeFileSync(join(include, 'common.gypi'), JSON.stringify(defaults));
  writeFileSync(join(include, 'config.gypi'), JSON.stringify({ target_defaults: {}, variables: {} }));
}

function assembleStage() {
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  for (const name of ['binding.gyp', 'native', 'bpf']) symlinkSync(join(root, name), join(stage, name));
}

function build() {
  assembleHeaders();
  assembleStage();
  // An npm that runs this passes its settings on, and node-gyp's --nodedir is one of them.
  for (const name of Object.keys(process.env)) {
    if (/^npm_(config|package_config)_/i.test(name)) delete process.env[name];
  }
  process.env.npm_config_nodedir = headers;
  process.env.JOBS ??= String(availableParallelism());
  const nodeGyp = join(dirname(require.resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');
  process.env.npm_config_loglevel = process.argv.includes('--verbose') ? 'verbose' : 'warn';
  execFileSync(
    process.execPath,
    [nodeGyp, 'rebuild', '--release', `--devdir=${join(root, 'build', 'node-gyp')}`],
    {
      cwd: stage,
      stdio: 'inherit',
    },
  );
  for (const [name, path] of Object.entries(outputs)) {
    mkdirSync(dirname(path), { recursive: true });
    execFileSync('strip', ['--strip-all', '-o', path, join(stage, 'build', 'Release', `${name}.node`)]);
  }
  const flags = ['-std=gnu11', '-Os', '-Wall', '-Wextra', '-Werror', '-static', '-s'];
  for (const [name, source] of Object.entries(helpers))
    execFileSync('gcc', [...flags, '-o', helperPath(name), join(root, 'native', source)], {
      stdio: 'inherit',
    });
}

const wanted = fingerprint();
const isThere = [...Object.values(outputs), ...Object.keys(helpers).map(helperPath), stamp].every((path) =>
  existsSync(path),
);
if (isThere && readFileSync(stamp, 'utf8') === wanted) {
  console.log('native: up to date');
} else {
  const started = Date.now();
  build();
  writeFileSync(stamp, wanted);
  console.log(
    `native: built ${[...Object.keys(outputs), ...Object.keys(helpers)].join(', ')} in ${((Date.now() - started) / 1000).toFixed(0)} s`,
  );
}
