/** Bundles the live page into dist/page, compressed as it is served: nothing is compressed while the agent runs. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const SOURCES = 'src/web/page';
const OUTPUT = 'dist/page';

rmSync(OUTPUT, { recursive: true, force: true });
mkdirSync(OUTPUT, { recursive: true });
const { metafile } = await build({
  entryPoints: { app: `${SOURCES}/app.ts` },
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['chrome109', 'firefox115', 'safari16.4'],
  tsconfig: `${SOURCES}/tsconfig.json`,
  legalComments: 'inline',
  metafile: true,
  outfile: `${OUTPUT}/app.js`,
  logLevel: 'warning',
});
// For who ships the bundle: whose code is in it (scripts/deb-copyright.ts).
writeFileSync('dist/.page.json', JSON.stringify(metafile));
await build({
  stdin: {
    contents: "@import 'uplot/dist/uPlot.min.css';\n@import './style.css';",
    resolveDir: SOURCES,
    loader: 'css',
  },
  bundle: true,
  minify: true,
  outfile: `${OUTPUT}/app.css`,
  logLevel: 'warning',
});
for (const file of ['index.html', 'icon.svg']) copyFileSync(`${SOURCES}/${file}`, `${OUTPUT}/${file}`);
for (const file of ['index.html', 'icon.svg', 'app.js', 'app.css']) {
  const bytes = readFileSync(`${OUTPUT}/${file}`);
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(`${OUTPUT}/${file}.br`, brotliCompressSync(bytes, { params: quality }));
  writeFileSync(`${OUTPUT}/${file}.gz`, gzipSync(bytes, { level: 9 }));
}
