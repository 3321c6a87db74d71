#!/usr/bin/env bash
# Compiles bpf/*.c to dist/bpf/*.o; nothing to do when no source is newer.
set -euo pipefail
cd "$(dirname "$0")/.."
output=dist/bpf
mkdir -p "$output"

newest=$(ls -t bpf/*.c bpf/*.h scripts/build-bpf.sh | head -n 1)
if [ -e "$output/.stamp" ] && [ ! "$newest" -nt "$output/.stamp" ]; then
	echo "BPF objects: up to date"
	exit 0
fi

case $(uname -m) in
x86_64) target=x86 ;;
*) echo "loopwarden builds its BPF programs for x86-64 only, not $(uname -m)" >&2; exit 1 ;;
esac
# -mcpu=v2: what every kernel from 5.10 on verifies and jits.
flags=(-g -O2 -target bpf -mcpu=v2 "-D__TARGET_ARCH_$target" "-I/usr/include/$(gcc -print-multiarch)"
	-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-declarations)
for source in bpf/*.c; do
	name=$(basename "$source" .c)
	clang "${flags[@]}" -c "$source" -o "$output/$name.o"
	# DWARF is for people; libbpf reads only the BTF.
	llvm-strip --strip-debug "$output/$name.o"
done
touch "$output/.stamp"
echo "BPF objects: built $(ls "$output"/*.o | wc -l)"
