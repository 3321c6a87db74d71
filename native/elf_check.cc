// SPDX-License-Identifier: Apache-2.0
#include "elf_check.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "unique_fd.h"

namespace loopwarden
{
namespace
{

// Ours are below 1 MiB.
constexpr off_t kSizeMost = 64 << 20;

int ReadWhole(const std::string &path, std::vector<uint8_t> &bytes, std::string &complaint)
{
	UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	struct stat status;
	if (!file || fstat(file.Get(), &status))
		return errno;
	if (S_ISDIR(status.st_mode))
		return EISDIR;
	if (!S_ISREG(status.st_mode) || status.st_size > kSizeMost) {
		complaint = "not a regular file of at most 64 MiB";
		return EINVAL;
	}
	bytes.resize(status.st_size);
	size_t have = 0;
	while (have < bytes.size()) {
		ssize_t got = read(file.Get(), bytes.data() + have, bytes.size() - have);
		if (got < 0)
			return errno;
		if (got == 0)
			break;
		have += got;
	}
	bytes.resize(have);
	return 0;
}

bool Within(uint64_t offset, uint64_t size, uint64_t whole)
{
	return offset <= whole && size <= whole - offset;
}

const char *Complain(const std::vector<uint8_t> &bytes)
{
	Elf64_Ehdr header;
	if (bytes.size() < sizeof(header))
		return "too short for an ELF header";
	memcpy(&header, bytes.data(), sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return "not an ELF file";
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_type != ET_REL || header.e_machine != EM_BPF)
		return "not a 64-bit little-endian BPF object";
	if (header.e_shnum == 0 || header.e_shentsize != sizeof(Elf64_Shdr) ||
	    header.e_shstrndx >= header.e_shnum || header.e_shoff % alignof(Elf64_Shdr) ||
	    !Within(header.e_shoff, uint64_t{header.e_shnum} * sizeof(Elf64_Shdr), bytes.size()))
		return "no whole section table";
	std::vector<Elf64_Shdr> sections(header.e_shnum);
	memcpy(sections.data(), bytes.data() + header.e_shoff,
	       sections.size() * sizeof(Elf64_Shdr));
	const Elf64_Shdr &names = sections[header.e_shstrndx];
	for (const Elf64_Shdr &section : sections) {
		if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
		    !Within(section.sh_offset, section.sh_size, bytes.size()))
			return "a section lies outside the file";
		if (section.sh_name >= names.sh_size)
			return "a section's name lies outside the table of names";
		// Tables of strings must end, or reading the last one runs on.
		if (section.sh_type == SHT_STRTAB &&
		    (section.sh_size == 0 ||
		     bytes[section.sh_offset + section.sh_size - 1] != '\0'))
			return "a table of strings has no end";
	}
	return nullptr;
}

} // namespace

int CheckElf(const std::string &path, std::string &complaint)
{
	std::vector<uint8_t> bytes;
	int error = ReadWhole(path, bytes, complaint);
	if (error) {
		if (complaint.empty())
			complaint = strerror(error);
		return error;
	}
	const char *reason = Complain(bytes);
	if (!reason)
		return 0;
	complaint = reason;
	return ENOEXEC;
}

} // namespace loopwarden
