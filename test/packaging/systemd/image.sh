#!/usr/bin/env bash
# Makes a disk with Debian 13 as it is installed (systemd, its own kernel and initrd, Prometheus) and prints its folder: disk, vmlinuz,
# initrd. Nothing of loopwarden is on it, and nothing is installed on this machine.
# What was made is used again for a week; LOOPWARDEN_VM_REFRESH=1 makes a newer one at once. Only the last one is kept: 0.7 GB.
set -euo pipefail
cd "$(dirname "$0")/../../.."
export PATH="$PATH:/usr/sbin:/sbin"
cache=$PWD/.cache/systemd
folder=$cache/debian-13

say() { echo "systemd: $*" >&2; }
fail() { say "$*"; exit 1; }

mkdir -p "$cache"
exec 9>"$cache/image.lock"
flock 9
stamp=$(sha256sum <test/packaging/systemd/image.sh)
is_usable() { [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; }
if [ -z "${LOOPWARDEN_VM_REFRESH:-}" ] && is_usable && [ -n "$(find "$folder/stamp" -mtime -7)" ]; then
	echo "$folder"
	exit
fi

. test/vm/debian-mirror.sh
mirror=$(debian_mirror debian)

# What a server has that the package could meet; bpftool tells independently of loopwarden what is loaded.
packages=(systemd systemd-sysv udev dbus kmod util-linux mount procps e2fsprogs nodejs prometheus bpftool
	initramfs-tools linux-image-amd64 zstd)

new=$cache/new
# Of a run that was ended.
rm -rf "$new"
mkdir -p "$new"
trap 'rm -rf "$new"' EXIT
say "making a disk with Debian 13 from $mirror"
# Each step only after the one before it: `set -e` is not in force in a condition.
make_disk() {
	# The initrd holds what it takes to mount the disk, and no more: an emulated machine takes long to unpack it.
	mmdebstrap --mode=root --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" \
		--essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
		--essential-hook='echo MODULES=list >"$1/etc/initramfs-tools/conf.d/modules"' \
		--essential-hook='printf "virtio_pci\nvirtio_blk\next4\n" >"$1/etc/initramfs-tools/modules"' \
		--customize-hook='chroot "$1" systemd-machine-id-setup' \
		--customize-hook='echo debian >"$1/etc/hostname"' \
		--customize-hook='chroot "$1" systemctl disable prometheus.service' \
		trixie "$new/root" "$mirror" &&
		cp "$(echo "$new"/root/boot/vmlinuz-*)" "$new/vmlinuz" &&
		cp "$(echo "$new"/root/boot/initrd.img-*)" "$new/initrd" &&
		# Sparse: what is free on it takes no room here.
		truncate -s 2G "$new/disk" &&
		mke2fs -q -t ext4 -d "$new/root" "$new/disk" &&
		rm -rf "$new/root"
}
if ! make_disk >"$cache/image.log" 2>&1 </dev/null; then
	tail -n 20 "$cache/image.log" >&2
	is_usable || fail "no disk: $cache/image.log"
	say "going on with the disk of $(date -r "$folder/stamp" +%F)"
	echo "$folder"
	exit
fi
echo "$stamp" >"$new/stamp"
rm -rf "$folder"
mv "$new" "$folder"
echo "$folder"
