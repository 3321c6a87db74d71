# Sourced by what boots a virtual machine: runs QEMU and judges how that went.

# Usage: boot_machine NAME CONSOLE EXCHANGE SECONDS ARGUMENT...: the arguments are QEMU's. Into the folder EXCHANGE the machine writes
# `booted` before its command and `status` after it; its second serial line comes to stdout, the first to the file CONSOLE. Returns the
# command's status. 124: not within SECONDS; 125: no boot, or the machine ended before the command; 126: the console shows a panic or
# a warning of the kernel.
boot_machine() {
	local name=$1 console=$2 exchange=$3 limit=$4 status attempt trouble
	shift 4
	mkdir -p "$(dirname "$console")"
	machine=
	trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null; exit 130' INT TERM HUP

	# QEMU's emulation of two processors sometimes runs into the breakpoint that the kernel sets while it patches itself (a
	# panic with "Oops: int3"). Such a boot is tried again, but only as long as nothing of the command has run.
	for attempt in 1 2 3; do
		run_machine "$@"
		if [ -e "$exchange/booted" ] || ! grep -aq 'int3: 0000' "$console"; then break; fi
		cp "$console" "$console.int3"
		say "$name: boot $attempt ended in QEMU's own int3 fault ($console.int3)"
	done

	trouble=$(grep -aE 'Kernel panic|WARNING: |BUG: |Oops|general protection fault|INFO: task .* blocked|possible recursive locking' "$console" || true)
	if [ -n "$trouble" ]; then
		say "$name: the kernel complains ($console):"
		head -n 5 <<<"$trouble" >&2
		return 126
	fi
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		say "$name: not within $limit s; the kernel's console is $console"
		return 124
	fi
	if [ ! -s "$exchange/status" ]; then
		if [ -e "$exchange/booted" ]; then
			say "$name: ended before the command did (qemu: $status; $console)"
		else
			say "$name: did not boot (qemu: $status; $console)"
		fi
		tail -n 5 "$console" >&2
		return 125
	fi
	return "$(cat "$exchange/status")"
}

# Sets `status` of boot_machine.
run_machine() {
	local acceleration
	# KVM only where it is asked for: a virtual machine may have a /dev/kvm that serves no Debian kernel.
	case ${LOOPWARDEN_VM_ACCELERATION:-tcg} in
	kvm) acceleration=(-accel kvm -cpu host) ;;
	*) acceleration=(-accel tcg,thread=multi -cpu max) ;;
	esac
	: >"$console"
	status=0
	# Not in the foreground, so that whoever ends this script ends the machine too.
	timeout --foreground --kill-after=5 "$limit" qemu-system-x86_64 "${acceleration[@]}" \
		-m "${LOOPWARDEN_VM_MEMORY:-2048}" -smp 2 -nodefaults -no-user-config -display none -monitor none -no-reboot \
		-serial "file:$console" -serial stdio \
		-fsdev "local,id=exchange,path=$exchange,security_model=none,multidevs=remap" -device virtio-9p-pci,fsdev=exchange,mount_tag=exchange \
		"$@" </dev/null &
	machine=$!
	wait "$machine" || status=$?
}
