#!/usr/bin/env bash
# Makes what the image is built on: a Debian of the suite that its file names, from Debian's packages instead of a registry. Prints the path
# of a tar. What was made is used again for a week; LOOPWARDEN_IMAGE_REFRESH=1 makes a newer one at once.
# Usage: base.sh SUITE
set -euo pipefail
suite=$1
cd "$(dirname "$0")/../../.."
export PATH="$PATH:/usr/sbin:/sbin"
cache=$PWD/.cache/image
tar=$cache/$suite.tar

say() { echo "image: $*" >&2; }
fail() { say "$*"; exit 1; }

mkdir -p "$cache"
stamp=$(sha256sum <test/packaging/image/base.sh)
if [ -z "${LOOPWARDEN_IMAGE_REFRESH:-}" ] && [ "$(cat "$tar.stamp" 2>/dev/null)" = "$stamp" ] && [ -n "$(find "$tar" -mtime -7)" ]; then
	echo "$tar"
	exit
fi

. test/vm/debian-mirror.sh
mirror=$(debian_mirror debian)

# Whom this machine trusts besides, such as a proxy between it and the npm registry, those who build must trust, too.
authorities=/usr/local/share/ca-certificates
say "making a base of Debian $suite from $mirror"
rm -f "$tar.stamp"
mmdebstrap --mode=root --variant=minbase \
	--customize-hook="if [ -d $authorities ]; then cp -r $authorities/. \"\$1$authorities\"; fi" \
	"$suite" "$tar" "$mirror" >"$cache/base.log" 2>&1 </dev/null || { tail -n 20 "$cache/base.log" >&2; fail "no base: $cache/base.log"; }
echo "$stamp" >"$tar.stamp"
echo "$tar"
