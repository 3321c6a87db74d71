#!/usr/bin/env bash
# Makes the newest Debian kernel of a series ready to boot and prints its folder: vmlinuz, initramfs.gz, modules, version.
# Usage: fetch-kernel.sh SERIES; SERIES is 5.10, 6.1, 6.12 or newest. Nothing is installed on this machine.
# What was fetched is used again for a week; LOOPWARDEN_VM_REFRESH=1 asks Debian for a newer one at once.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PATH:/usr/sbin:/sbin"
series=$1
cache=$PWD/.cache/vm
folder=$cache/kernels/$series

say() { echo "vm: $*" >&2; }
fail() { say "$*"; exit 1; }

# Suites that hold the series, and how its packages are named.
case $series in
5.10) suites="bullseye bullseye-security" name='linux-image-5\.10\.[^ ]*-amd64' ;;
6.1) suites="bookworm bookworm-security" name='linux-image-6\.1\.[^ ]*-amd64' ;;
6.12) suites="bookworm-backports bookworm-security" name='linux-image-6\.12\.[^ ]*-amd64' ;;
newest) suites="trixie-backports" name='linux-(image|binary)-[0-9][^ ]*-amd64' ;;
*) fail "unknown kernel $series: 5.10, 6.1, 6.12 or newest" ;;
esac

mkdir -p "$cache/kernels" "$cache/logs"
exec 9>"$cache/fetch.lock"
flock 9

# A change of what the initramfs is made of makes a new one.
stamp=$(cat test/vm/fetch-kernel.sh test/vm/init.sh | sha256sum)
if [ -z "${LOOPWARDEN_VM_REFRESH:-}" ] && [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ] &&
	[ -n "$(find "$folder/stamp" -mtime -7)" ]; then
	echo "$folder"
	exit
fi

# apt with lists of its own: the machine's know neither other suites nor what is fetched here.
apt=$cache/apt-$series
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
. test/vm/debian-mirror.sh
for suite in $suites; do
	case $suite in
	*-security) archive=$(debian_mirror debian-security) ;;
	*) archive=$(debian_mirror debian) ;;
	esac
	echo "deb [arch=amd64 signed-by=$keyring] $archive $suite main"
done >"$apt/sources.list"
apt_options=(-q -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
	-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o APT::Architecture=amd64
	-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Update::Error-Mode=any)
: >"$apt/status"
log=$cache/logs/fetch-$series.log

# Prints the packages of the newest kernel in the suites.
newest_packages() {
	local package version part
	package=$(apt-cache "${apt_options[@]}" search --names-only "^$name\$" | cut -d' ' -f1 |
		grep -vE -- '-(cloud|rt)-' | sort -V | tail -n 1)
	[ -n "$package" ] || fail "no package $name in $suites"
	printf '%s' "$package"
	# Newer kernels come in parts.
	version=${package#linux-*-}
	for part in binary modules; do
		if [ "$package" != "linux-$part-$version" ] &&
			apt-cache "${apt_options[@]}" show "linux-$part-$version" >/dev/null 2>&1; then
			printf ' %s' "linux-$part-$version"
		fi
	done
}

if apt-get "${apt_options[@]}" update >"$log" 2>&1; then
	wanted=$(newest_packages)
else
	grep -E '^(E|W|Err)' "$log" | tail -n 4 >&2 || true
	problem="Debian's suites are not reachable or not usable: $suites (all of it: $log)"
	wanted=$(cat "$folder/packages" 2>/dev/null) || fail "$problem; so there is no kernel $series"
	say "$problem; going on with $wanted"
fi
read -ra packages <<<"$wanted"

if [ "$(cat "$folder/packages" 2>/dev/null)" != "${packages[*]}" ]; then
	say "fetching ${packages[*]}"
	rm -rf "$folder.new"
	mkdir -p "$folder.new/root" "$folder.new/deb"
	(cd "$folder.new/deb" && apt-get "${apt_options[@]}" download "${packages[@]}") >>"$log" 2>&1 ||
		fail "could not fetch ${packages[*]}: $log"
	for deb in "$folder.new"/deb/*.deb; do dpkg-deb -x "$deb" "$folder.new/root"; done
	rm -r "$folder.new/deb"
	echo "${packages[*]}" >"$folder.new/packages"
	rm -rf "$folder"
	mv "$folder.new" "$folder"
fi

vmlinuz=$(find "$folder/root" -name 'vmlinuz*' -type f | head -n 1)
[ -n "$vmlinuz" ] || fail "no vmlinuz in ${packages[*]}"
cp "$vmlinuz" "$folder/vmlinuz"
modules=$(find "$folder/root" -type d -path '*lib/modules/*' -prune | head -n 1)
[ -n "$modules" ] || fail "no modules in ${packages[*]}"
basename "$modules" >"$folder/version"

# Decompressed, since busybox's insmod takes nothing else.
unpack_module() {
	local file
	file=$(find "$modules" -name "$1.ko*" | head -n 1)
	case $file in
	'') return 0 ;; # built in, or not there in this series
	*.xz) xz -dc "$file" >"$2" ;;
	*.zst) zstd -qdc "$file" >"$2" ;;
	*.gz) gzip -dc "$file" >"$2" ;;
	*) cp "$file" "$2" ;;
	esac
}

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,dev,proc,sys,modules,root}
cp /bin/busybox "$tree/bin/busybox"
cp test/vm/init.sh "$tree/init"
chmod 755 "$tree/init"
# In the order of their dependencies. virtio and virtio_ring, netfs and fscache need each other one way round in some
# series and the other way in others: whichever comes too early is tried again.
number=10
for module in virtio_ring virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache netfs 9pnet 9pnet_virtio 9p; do
	unpack_module "$module" "$tree/modules/$number-$module.ko"
	number=$((number + 1))
done
unpack_module loop "$tree/loop.ko"
(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$folder/initramfs.gz"
echo "$stamp" >"$folder/stamp"
echo "$folder"
