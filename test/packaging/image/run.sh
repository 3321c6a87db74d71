#!/usr/bin/env bash
# Builds the container image from its file, on a base made of Debian's packages, and runs it on this host as the Helm chart's pod.
# Usage: npm run test:image [-- PATTERN]; with a PATTERN (of node's --test-name-pattern) only the tests of that name.
set -euo pipefail
cd "$(dirname "$0")/../../.."
export PATH="$PWD/.cache/tools:$PATH:/usr/sbin:/sbin"
if ! unshare --user true 2>/dev/null && [ ! / -ef /proc/1/root ] && [ -z "${SYSTEMD_IGNORE_CHROOT:-}" ]; then
	export SYSTEMD_IGNORE_CHROOT=1
	exec python3 scripts/leave-chroot.py bash test/packaging/image/run.sh "$@"
fi
pattern=${1:-.}
cache=$PWD/.cache/image
file=packaging/container/Containerfile
say() { echo "image: $*"; }
give_up() {
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

mkdir -p "$cache"
exec 8>"$cache/run.lock"
flock -n 8 || { say "waiting for another run in this clone"; flock 8; }
missing=()
command -v podman >/dev/null || missing+=(podman)
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
. test/vm/install-packages.sh
install_packages "$cache/packages.log" "${missing[@]}" || give_up

# A store of its own: what is built there is built upon by the next run, and nobody else's images are touched. runc takes the host's
# cgroups as they are.
podman=(podman --root "$cache/store" --runroot "$cache/run" --runtime runc --cgroup-manager cgroupfs)
counts=$cache/counts
rm -f "$counts"
remove_containers() {
	local each
	for each in $("${podman[@]}" ps --all --external --quiet); do
		# Those of a build that was ended are no containers to Podman.
		"${podman[@]}" rm --force --time 1 "$each" >/dev/null 2>&1 || "${podman[@]}" rm --storage "$each" >/dev/null || true
	done
	umount "$cache/store/overlay" 2>/dev/null || true
	# Podman leaves its own cgroups; one that somebody is in stays.
	find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} + 2>/dev/null || true
	rm -rf "$cache/run"
}
trap remove_containers EXIT
trap 'exit 130' INT TERM HUP

# What the file builds on comes from a registry by those names; here it is made, and no registry is asked.
started=$SECONDS
make_bases() {
	local name suite tar
	for name in $(sed -n 's/^FROM \(docker\.io[^ ]*\).*/\1/p' "$file"); do
		suite=${name##*:}
		tar=$(bash test/packaging/image/base.sh "${suite%-slim}") || return 1
		if [ "$(cat "$cache/store/${name//\//+}" 2>/dev/null)" != "$(stat -c %Y "$tar")" ] || ! "${podman[@]}" image exists "$name"; then
			"${podman[@]}" import --quiet "$tar" "$name" >/dev/null || return 1
			stat -c %Y "$tar" >"$cache/store/${name//\//+}"
		fi
	done
}
make_bases || give_up
version=$(node -p 'require("./package.json").version')
say "building $file; log: $cache/build.log"
if ! "${podman[@]}" build --isolation chroot --pull=never --file "$file" --tag "localhost/loopwarden:$version" . >"$cache/build.log" 2>&1 </dev/null; then
	tail -n 30 "$cache/build.log" >&2
	give_up
fi
say "built in $((SECONDS - started)) s"

status=0
LOOPWARDEN_TEST_PODMAN="${podman[*]}" node --import tsx --test --test-name-pattern="$pattern" --test-timeout="${LOOPWARDEN_TEST_TIMEOUT_MS:-600000}" \
	--test-reporter=spec --test-reporter-destination=stdout \
	--test-reporter=./scripts/test-reporter.mjs --test-reporter-destination="$counts" test/packaging/image/image.test.ts || status=$?
passed=0 failed=0 skipped=0
if [ -s "$counts" ]; then
	read -r passed failed skipped <"$counts"
	grep -E '^(skipped|failed): ' "$counts" || true
fi
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
if [ $((passed + failed)) -eq 0 ]; then failed=1; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
