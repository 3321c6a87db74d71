#!/usr/bin/env bash
# Runs a shell command in a virtual machine with a Debian kernel and this machine's root file system, read-only.
# Usage: boot.sh KERNEL LSM CONSOLE COMMAND: KERNEL is 5.10, 6.1, 6.12 or newest, LSM is bpf or nobpf, CONSOLE a file for
# the kernel's console. The command's output comes to stdout; the exit status is the command's. 124: not within
# LOOPWARDEN_VM_TIMEOUT seconds (600); 125: no boot, or the machine ended before the command; 126: the console shows a
# panic or a warning of the kernel.
set -euo pipefail
cd "$(dirname "$0")/../.."
kernel=$1 lsm=$2 console=$3 command=$4
limit=${LOOPWARDEN_VM_TIMEOUT:-600}
say() { echo "vm: $kernel $lsm: $*" >&2; }

case $lsm in
bpf) lsms=landlock,lockdown,yama,bpf ;;
nobpf) lsms=landlock,lockdown,yama ;;
*) say "LSM is bpf or nobpf"; exit 2 ;;
esac
folder=$(bash test/vm/fetch-kernel.sh "$kernel")

exchange=$(mktemp -d)
trap 'rm -rf "$exchange"' EXIT
cp test/vm/guest.sh "$exchange/guest.sh"
printf '%s\n' "$command" >"$exchange/command"
{
	echo "export PROJECT=$(printf %q "$PWD")"
	for name in "${!LOOPWARDEN_TEST_@}"; do printf 'export %s=%q\n' "$name" "${!name}"; done
} >"$exchange/environment"

# KVM only where it is asked for: a virtual machine may have a /dev/kvm that serves no Debian kernel.
case ${LOOPWARDEN_VM_ACCELERATION:-tcg} in
kvm) acceleration=(-accel kvm -cpu host) ;;
*) acceleration=(-accel tcg,thread=multi -cpu max) ;;
esac
mkdir -p "$(dirname "$console")"
machine=
trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null; exit 130' INT TERM HUP

run_machine() {
	: >"$console"
	status=0
	# Not in the foreground, so that whoever ends this script ends the machine too.
	timeout --foreground --kill-after=5 "$limit" qemu-system-x86_64 "${acceleration[@]}" -m "${LOOPWARDEN_VM_MEMORY:-2048}" -smp 2 \
		-nodefaults -no-user-config -display none -monitor none -no-reboot \
		-serial "file:$console" -serial stdio \
		-kernel "$folder/vmlinuz" -initrd "$folder/initramfs.gz" \
		-append "console=ttyS0 panic=-1 nowatchdog mitigations=off lsm=$lsms ${LOOPWARDEN_VM_APPEND:-}" \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=root,mount_tag=rootfs \
		-fsdev "local,id=project,path=$PWD,security_model=none,readonly=on,multidevs=remap" -device virtio-9p-pci,fsdev=project,mount_tag=project \
		-fsdev "local,id=exchange,path=$exchange,security_model=none,multidevs=remap" -device virtio-9p-pci,fsdev=exchange,mount_tag=exchange \
		</dev/null &
	machine=$!
	wait "$machine" || status=$?
}

# QEMU's emulation of two processors sometimes runs into the breakpoint that the kernel sets while it patches itself (a
# panic with "Oops: int3"). Such a boot is tried again, but only as long as nothing of the command has run.
for attempt in 1 2 3; do
	run_machine
	if [ -e "$exchange/booted" ] || ! grep -aq 'int3: 0000' "$console"; then break; fi
	cp "$console" "$console.int3"
	say "boot $attempt ended in QEMU's own int3 fault ($console.int3)"
done

trouble=$(grep -aE 'Kernel panic|WARNING: |BUG: |Oops|general protection fault|INFO: task .* blocked|possible recursive locking' "$console" || true)
if [ -n "$trouble" ]; then
	say "the kernel complains ($console):"
	head -n 5 <<<"$trouble" >&2
	exit 126
fi
if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
	say "not within $limit s; the kernel's console is $console"
	exit 124
fi
if [ ! -s "$exchange/status" ]; then
	if [ -e "$exchange/booted" ]; then say "ended before the command did (qemu: $status; $console)"; else say "did not boot (qemu: $status; $console)"; fi
	tail -n 5 "$console" >&2
	exit 125
fi
exit "$(cat "$exchange/status")"
