#!/usr/bin/env bash
# Bundles src/ and the libraries into dist/: a command starts in half the time. Nothing to do when no source is newer.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p dist

# Folders too: theirs is the only time that tells of a removed file.
newer=$(find src tsconfig.json package.json package-lock.json scripts/build-ts.sh scripts/build-page.mjs \
	-newer dist/.stamp -print -quit 2>/dev/null || echo "no stamp")
if [ -z "$newer" ] && [ -e dist/main.js ] && [ -e dist/page/app.js ] && [ -e dist/demo/recording.ndjson.gz ]; then
	echo "TypeScript: up to date"
	exit 0
fi

# Taken before the compiler reads: what is saved meanwhile is compiled the next time.
touch dist/.stamp.next
rm -f dist/*.js
# What comes as CommonJS asks for Node's own modules by `require`, which a module does not have.
node_modules/.bin/esbuild main=src/main.ts password-worker=src/web/password-worker.ts --bundle --platform=node --target=node20 --format=esm --splitting \
	--outdir=dist --metafile=dist/.bundle.json --external:node-gyp-build --log-level=warning \
	--banner:js="import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);"
chmod +x dist/main.js
node scripts/build-page.mjs
mkdir -p dist/demo
cp src/demo/recording.ndjson.gz dist/demo/
mv dist/.stamp.next dist/.stamp
echo "TypeScript: built dist/main.js"
