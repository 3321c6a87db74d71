#!/usr/bin/env bash
# Compiles src/ to dist/; nothing to do when no source is newer.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p dist

# Folders too: theirs is the only time that tells of a removed file.
newer=$(find src tsconfig.json tsconfig.build.json package.json package-lock.json scripts/build-ts.sh \
	-newer dist/.stamp -print -quit 2>/dev/null || echo "no stamp")
if [ -z "$newer" ] && [ -e dist/main.js ]; then
	echo "TypeScript: up to date"
	exit 0
fi

# Taken before the compiler reads: what is saved meanwhile is compiled the next time.
touch dist/.stamp.next
node_modules/.bin/tsc -p tsconfig.build.json
chmod +x dist/main.js
mv dist/.stamp.next dist/.stamp
echo "TypeScript: built dist/main.js"
