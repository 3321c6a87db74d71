// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_ELF_CHECK_H
#define LOOPWARDEN_ELF_CHECK_H

#include <string>

namespace loopwarden
{

// libbpf and libelf trust much of a file. This refuses, with an errno and its reason, what isn't a
// whole 64-bit little-endian BPF object: every section inside the file, every name inside its
// table. Altered contents inside whole tables can still crash libbpf: open only files that root
// alone writes.
int CheckElf(const std::string &path, std::string &complaint);

} // namespace loopwarden

#endif
