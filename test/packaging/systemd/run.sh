#!/usr/bin/env bash
# Installs, uses and purges the Debian package in a virtual machine with Debian 13 and its systemd.
# Usage: npm run test:systemd [-- PATTERN]; with a PATTERN (of node's --test-name-pattern) only the tests of that name, and the installation.
set -euo pipefail
cd "$(dirname "$0")/../../.."
export PATH="$PATH:/usr/sbin:/sbin"
# Of the tests, in seconds: they take half of it on two busy processors.
limit=${LOOPWARDEN_VM_TIMEOUT:-480}
pattern=${1:-.}
logs=$PWD/.cache/systemd/logs
say() { echo "systemd: $*"; }

mkdir -p "$logs"
missing=()
command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
. test/vm/install-packages.sh
install_packages "$logs/packages.log" "${missing[@]}"
disk=$(bash test/packaging/systemd/image.sh) || {
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

exchange=$(mktemp -d)
trap 'rm -rf "$exchange"' EXIT
cp "$(npm run --silent package:deb)" "$exchange/loopwarden.deb"
cp test/packaging/systemd/guest.sh scripts/test-reporter.mjs "$exchange"
node_modules/.bin/esbuild test/packaging/systemd/package.test.ts --bundle --platform=node --format=esm \
	--banner:js="import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);" \
	--outfile="$exchange/package.test.js" --log-level=warning
# An emulated machine is slow, and two of them share our processors.
printf 'export LIMIT=%q PATTERN=%q LOOPWARDEN_TEST_SLOW=4\n' "$limit" "$pattern" >"$exchange/environment"

# The unit comes with the boot, so that nothing of it is on the disk; systemd reads it from a credential (systemd-debug-generator(8)).
unit="[Unit]
After=multi-user.target
[Service]
Type=exec
ExecStartPre=mkdir -p /run/vm
ExecStartPre=mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 exchange /run/vm
ExecStart=sh /run/vm/guest.sh"
name=loopwarden-test.service
arguments=(console=ttyS0 panic=-1 nowatchdog mitigations=off root=/dev/vda rw quiet
	"systemd.set_credential_binary=systemd.extra-unit.$name:$(base64 -w0 <<<"$unit")" "systemd.wants=$name")
# What would use the network, or write while the host is being looked at.
for each in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer serial-getty@ttyS0.service; do
	arguments+=("systemd.mask=$each")
done

. test/vm/machine.sh
console=$logs/console
started=$SECONDS status=0
say "booting Debian 13; console: $console"
# What the machine writes to its disk goes with it.
boot_machine debian "$console" "$exchange" "$((limit + 60))" \
	-kernel "$disk/vmlinuz" -initrd "$disk/initrd" -append "${arguments[*]}" \
	-drive "file=$disk/disk,if=none,id=disk,format=raw,snapshot=on,cache=unsafe" -device virtio-blk-pci,drive=disk || status=$?
passed=0 failed=0 skipped=0
if [ -s "$exchange/counts" ]; then read -r passed failed skipped <"$exchange/counts"; fi
# A machine that failed counts, even if none of its tests says so.
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
if [ $((passed + failed)) -eq 0 ]; then failed=1; fi
say "took $((SECONDS - started)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
