#!/usr/bin/env bash
# Runs tests of test/kernel and test/bypass in virtual machines with Debian's kernels, with the real systemd-udevd.
# Usage: npm run test:vm [-- [--kernel 5.10|6.1|6.12|newest]... [--lsm bpf|nobpf] [--plan PLAN | --test PATTERN] [--timeout SECONDS]]
# Without options: every kernel, each with and without bpf in the boot's LSM list, and of the tests what the plan `kernel` has for it.
# `attacks` has every attack on every machine and `ownership` what else that stands on, each for an hour; `shared-attacks` is of both what CI has.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PATH:/usr/sbin:/sbin"

usage() {
	sed -n '3,5s/^# //p' "$0" >&2
	exit 2
}
kernels=() lsms=() plan=kernel pattern= limit=
# An emulated machine is idle a third of the time: two of them keep two processors busy.
at_once=${LOOPWARDEN_VM_JOBS:-2}
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || usage
	case $1 in
	--kernel) kernels+=("$2") ;;
	--lsm) lsms+=("$2") ;;
	--plan) plan=$2 ;;
	--test) pattern=$2 ;;
	--timeout) limit=$2 ;;
	*) usage ;;
	esac
	shift 2
done
[ ${#kernels[@]} -gt 0 ] || kernels=(5.10 6.1 6.12 newest)
[ ${#lsms[@]} -gt 0 ] || lsms=(bpf nobpf)
# With the seconds of a machine.
case $plan in
kernel | shared-attacks) : "${limit:=1500}" ;;
attacks | ownership) : "${limit:=3000}" ;;
*) usage ;;
esac
case $pattern in *\'*) usage ;; esac
for kernel in "${kernels[@]}"; do case $kernel in 5.10 | 6.1 | 6.12 | newest) ;; *) usage ;; esac; done
for lsm in "${lsms[@]}"; do case $lsm in bpf | nobpf) ;; *) usage ;; esac; done

say() { echo "vm: $*"; }
logs=.cache/vm/logs
mkdir -p "$logs"
# Two runs would write the same files, and be slower than one after the other.
exec 8>.cache/vm/run.lock
flock -n 8 || { say "waiting for another run in this clone"; flock 8; }

# What runs the machines; the tests' own needs are those of setup.sh --test.
missing=()
command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
[ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || missing+=(busybox-static)
command -v xz >/dev/null || missing+=(xz-utils)
command -v zstd >/dev/null || missing+=(zstd)
. test/vm/install-packages.sh
install_packages "$logs/packages.log" "${missing[@]}" || exit 1

# Every word that a machine says, with its name before it.
label() { while IFS= read -r line; do printf '%s | %s\n' "$1" "${line%$'\r'}"; done; }

# What a test would compile is compiled here: an emulated machine is slow, and its root is read-only.
rm -rf .cache/vm/tools .cache/vm/variant .cache/vm/tests
mkdir -p .cache/vm/tools .cache/vm/variant
for source in test/support/*.c; do
	gcc -O2 -pthread -Wall -Wextra -Werror -o ".cache/vm/tools/$(basename "$source" .c)" "$source"
done
node_modules/.bin/tsx test/vm/build-variant.ts .cache/vm/variant
node_modules/.bin/esbuild test/kernel/*.test.ts test/bypass/*.test.ts test/programs/uevent-fuzz.test.ts --bundle --platform=node --format=esm --packages=external --splitting \
	--outbase=test --outdir=.cache/vm/tests --log-level=warning

# To ask it there takes a minute.
clang=$(clang --version | grep -oE 'clang version [0-9]+')
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
# Each machine is a process group of its own, with all that it has started.
trap 'for job in $(jobs -p); do kill -- "-$job"; done; exit 130' INT TERM HUP
set -m
started=$SECONDS

# Usage: pattern_for PLAN KERNEL LSM: says nothing if the plan has nothing for that machine.
pattern_for() {
	case "$*" in
	# Links and storms on every machine; what the LSM list does not change on one of each kernel; restarts where trampolines meet a kernel
	# that preempts itself (npm test has them with tracepoints). Disks on disks go by hooks of their own.
	"kernel 5.10 nobpf") echo 'test/kernel/(driver|matrix|lesser-links|storm|under-lockdown)' ;;
	"kernel newest nobpf") echo 'test/kernel/(driver|matrix|lesser-links|storm|restarts|under-lockdown)' ;;
	# Partitions in containers on one machine only: emulated, they take two minutes.
	"kernel 6.12 nobpf") echo 'test/kernel/(matrix|lesser-links|storm|under-lockdown|loopfs-partitions)' ;;
	"kernel 6.1 nobpf") echo 'test/kernel/(matrix|lesser-links|storm|under-lockdown)' ;;
	"kernel 6.12 bpf" | "kernel newest bpf") echo 'test/kernel/(matrix|storm)' ;;
	# The oldest announces a disk before it has a table, the next one between its claim and its link.
	"kernel "*) echo 'test/kernel/(matrix|storm|stacking.test)' ;;
	"attacks "*) echo 'test/bypass/' ;;
	# The LSM list changes nothing of what is stacked on devices, of the death of namespaces, or of who listens.
	"ownership "*" nobpf") echo 'test/kernel/(namespace-|orphans|reaping|receivers|rootful\.|stacking-|other-drivers|devnode)' ;;
	# Every attack on an old kernel and on the newest, and what is stacked there.
	"shared-attacks 5.10 nobpf") echo 'test/bypass/[a-h]' ;;
	"shared-attacks 6.1 nobpf") echo 'test/(bypass/[i-z]|kernel/namespace-creation)' ;;
	"shared-attacks newest bpf") echo 'test/bypass/' ;;
	"shared-attacks newest nobpf") echo 'test/kernel/(stacking-|other-drivers)' ;;
	esac
}

# Usage: run_machine KERNEL LSM: leaves "PASSED FAILED SKIPPED STATUS" and a line for people in $results.
run_machine() {
	local kernel=$1 lsm=$2 name="$1 $2" from=$SECONDS code=0 counts end p=0 f=0 s=0
	local console=$logs/$kernel-$lsm.console output=$logs/$kernel-$lsm.output
	say "$name: booting Linux $(cat ".cache/vm/kernels/$kernel/version"); console: $console"
	LOOPWARDEN_VM_TIMEOUT=$limit LOOPWARDEN_TEST_SLOW=${LOOPWARDEN_TEST_SLOW:-10} LOOPWARDEN_TEST_KERNEL=$kernel \
		LOOPWARDEN_TEST_STACK_CYCLES=${LOOPWARDEN_TEST_STACK_CYCLES:-10} \
		LOOPWARDEN_TEST_KILLS=${LOOPWARDEN_TEST_KILLS:-2} LOOPWARDEN_TEST_UPGRADES=${LOOPWARDEN_TEST_UPGRADES:-2} \
		LOOPWARDEN_TEST_CLANG=$clang LOOPWARDEN_TEST_TOOLS=$PWD/.cache/vm/tools LOOPWARDEN_TEST_VARIANT=$PWD/.cache/vm/variant \
		LOOPWARDEN_TEST_BUNDLES=$PWD/.cache/vm/tests \
		bash test/vm/boot.sh "$kernel" "$lsm" "$console" "bash scripts/test.sh '${pattern:-$(pattern_for "$plan" "$kernel" "$lsm")}'" 2>&1 |
		tee "$output" | label "$name" || code=$?
	counts=$(grep -aoE '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$output" | tail -n 1 || true)
	case $code in
	0) end=passed ;;
	124) end="TIMED OUT after $limit s" ;;
	125) end="DID NOT END WELL" ;;
	126) end="KERNEL COMPLAINS" ;;
	*) end=FAILED ;;
	esac
	if [ -n "$counts" ]; then read -r p _ f _ s _ <<<"$counts"; fi
	# A machine that failed counts, even if none of its tests says so.
	if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
	echo "$p $f $s $code" >"$results/$kernel-$lsm.counts"
	echo "$name: $end; ${counts:-no results}; $((SECONDS - from)) s" | tee "$results/$kernel-$lsm.line" | sed 's/^/vm: /'
}

machines=()
for kernel in "${kernels[@]}"; do
	if bash test/vm/fetch-kernel.sh "$kernel" >/dev/null; then
		for lsm in "${lsms[@]}"; do [ -z "${pattern:-$(pattern_for "$plan" "$kernel" "$lsm")}" ] || machines+=("$kernel $lsm"); done
	else
		machines+=("$kernel none")
		echo "0 1 0 1" >"$results/$kernel-none.counts"
		echo "$kernel: no kernel" >"$results/$kernel-none.line"
	fi
done
[ ${#machines[@]} -gt 0 ] || { say "the plan $plan has nothing for these machines"; exit 2; }
for machine in "${machines[@]}"; do
	read -r kernel lsm <<<"$machine"
	[ "$lsm" != none ] || continue
	while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n || true; done
	run_machine "$kernel" "$lsm" &
done
wait

passed=0 failed=0 skipped=0 status=0
echo
for machine in "${machines[@]}"; do
	file=$results/${machine/ /-}
	sed 's/^/vm: /' "$file.line"
	read -r p f s code <"$file.counts"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	[ "$code" -eq 0 ] || status=1
done
say "all of it took $((SECONDS - started)) s; outputs and consoles: $logs"
echo "$passed passed, $failed failed, $skipped skipped"
exit $status
