#!/usr/bin/env bash
# Runs a shell command in a virtual machine with a Debian kernel and this machine's root file system, read-only.
# Usage: boot.sh KERNEL LSM CONSOLE COMMAND: KERNEL is 5.10, 6.1, 6.12 or newest, LSM is bpf or nobpf, CONSOLE a file for
# the kernel's console. The command's output comes to stdout; the exit status is the command's, or one of machine.sh; 124: not
# within LOOPWARDEN_VM_TIMEOUT seconds (600).
set -euo pipefail
cd "$(dirname "$0")/../.."
kernel=$1 lsm=$2 console=$3 command=$4
limit=${LOOPWARDEN_VM_TIMEOUT:-600}
say() { echo "vm: $*" >&2; }

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

. test/vm/machine.sh
boot_machine "$kernel $lsm" "$console" "$exchange" "$limit" \
	-kernel "$folder/vmlinuz" -initrd "$folder/initramfs.gz" \
	-append "console=ttyS0 panic=-1 nowatchdog mitigations=off lsm=$lsms ${LOOPWARDEN_VM_APPEND:-}" \
	-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=root,mount_tag=rootfs \
	-fsdev "local,id=project,path=$PWD,security_model=none,readonly=on,multidevs=remap" -device virtio-9p-pci,fsdev=project,mount_tag=project
