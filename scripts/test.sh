#!/usr/bin/env bash
# Runs the tests; with a PATTERN (extended regular expression) only the files whose path matches it.
# What shares the kernel's loop devices and uevents with everything else (test/kernel, test/bypass, test/e2e) runs one file at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.cache/tools:$PATH:/usr/sbin:/sbin"
pattern=${1:-.}

# In a chroot the kernel makes no user namespaces, and udevadm does nothing unless it is told to.
if ! unshare --user true 2>/dev/null && [ ! / -ef /proc/1/root ] && [ -z "${SYSTEMD_IGNORE_CHROOT:-}" ]; then
	export SYSTEMD_IGNORE_CHROOT=1
	exec python3 scripts/leave-chroot.py bash scripts/test.sh "$@"
fi

# Virtual machines and the container image have runners of their own.
mapfile -t all < <(find test -name '*.test.ts' -not -path 'test/vm/*' -not -path 'test/packaging/systemd/*' -not -path 'test/packaging/image/*' | sort | grep -E -- "$pattern" || true)
# Bundled already, for machines that are too slow to do it: a folder with a .js for each .test.ts.
bundles=${LOOPWARDEN_TEST_BUNDLES:-}
compile=(--import tsx)
[ -z "$bundles" ] || compile=()
shared=()
alone=()
attacks=() attacks_of_their_own=()
for file in "${all[@]}"; do
	run=$file
	if [ -n "$bundles" ]; then
		run=${run/#test/$bundles}
		run=${run/%.ts/.js}
	fi
	case $file in
	test/kernel/* | test/e2e/*) alone+=("$run") ;;
	# Attacks on an agent that is set up otherwise come after the others: each change of agents takes an emulated machine 20 s.
	test/bypass/*) if grep -qE '\b(env: [{A-Z]|own: true)' "$file"; then attacks_of_their_own+=("$run"); else attacks+=("$run"); fi ;;
	*) shared+=("$run") ;;
	esac
done
attacks+=("${attacks_of_their_own[@]}")

# A search for a free loop device makes one if there is none; what the tests made so goes with them.
loop_numbers() { find /sys/block -maxdepth 1 -name 'loop[0-9]*' -printf '%f\n' | sed 's/^loop//' | sort; }
loops_before=$(loop_numbers)
remove_new_loops() {
	# Others' tests may be at work beside these, which have none of their own.
	[ $((${#alone[@]} + ${#attacks[@]})) -gt 0 ] || return 0
	comm -13 <(echo "$loops_before") <(loop_numbers) | xargs -r python3 -c '
import fcntl, sys
with open("/dev/loop-control") as control:
    for number in sys.argv[1:]:
        try: fcntl.ioctl(control, 0x4C81, int(number))  # LOOP_CTL_REMOVE
        except OSError as error: print(f"loop{number} stays: {error.strerror}", file=sys.stderr)
'
}

counts=$(mktemp)
joined=$(mktemp -d)
trap 'rm -rf "$counts" "$joined"; remove_new_loops' EXIT
status=0

# Of a file: for what hangs. A test that waits has its own, shorter one.
limit=${LOOPWARDEN_TEST_TIMEOUT_MS:-600000}

# Usage: run_tests CONCURRENCY MILLISECONDS FILE...
run_tests() {
	local concurrency=$1 limit=$2 one
	shift 2
	[ $# -gt 0 ] || return 0
	one=$(mktemp)
	node "${compile[@]}" --test --test-concurrency="$concurrency" --test-timeout="$limit" \
		--test-reporter=spec --test-reporter-destination=stdout \
		--test-reporter=./scripts/test-reporter.mjs --test-reporter-destination="$one" "$@" || status=1
	# A runner that died wrote no counts.
	if [ -s "$one" ]; then cat "$one" >>"$counts"; else printf '0 1 0\nfailed: the runner ended before its tests\n' >>"$counts"; fi
	rm -f "$one"
}

processors=$(nproc)
run_tests "$((processors > 2 ? processors : 2))" "$limit" "${shared[@]}"
run_tests 1 "$limit" "${alone[@]}"
if [ -n "$bundles" ] && [ ${#attacks[@]} -gt 0 ]; then
	# They share a process, and with it the agent of their stage (test/support/stage.ts).
	printf "import '%s';\n" "${attacks[@]}" >"$joined/attacks.test.mjs"
	run_tests 1 "$((limit * ${#attacks[@]}))" "$joined/attacks.test.mjs"
else
	run_tests 1 "$limit" "${attacks[@]}"
fi

# Once more at the end, where one looks.
grep -E '^(skipped|failed): ' "$counts" || true
read -r passed failed skipped < <(awk '/^[0-9]/ { p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$counts")
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
if [ $((passed + failed)) -eq 0 ]; then
	echo "no test ran for: $pattern" >&2
	failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
