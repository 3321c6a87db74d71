// SPDX-License-Identifier: Apache-2.0
#include "caller.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "initial_userns.h"

namespace loopwarden
{
namespace
{

// Room for a line of /proc/PID/status; what is longer (groups) is read in parts.
constexpr size_t kLineBytes = 256;

std::string FolderOf(pid_t thread)
{
	return "/proc/" + std::to_string(thread);
}

// What /proc/PID/status says after `key`; empty if the thread is gone. The name among the lines is escaped: it
// holds no newline.
std::string StatusOf(const std::string &folder, const char *key)
{
	std::unique_ptr<FILE, int (*)(FILE *)> status(fopen((folder + "/status").c_str(), "re"),
						      fclose);
	char line[kLineBytes];
	while (status && fgets(line, sizeof(line), status.get()))
		if (!strncmp(line, key, strlen(key)))
			return line + strlen(key);
	return "";
}

} // namespace

int OpenThread(pid_t thread, Caller &opened)
{
	// 0: it has no number in our pid namespace.
	if (thread <= 0)
		return ESRCH;
	const std::string folder = FolderOf(thread);
	// Before Linux 6.9 a pidfd is had of a process alone.
	int process = atoi(StatusOf(folder, "Tgid:").c_str());
	if (process <= 0)
		return ESRCH;
	opened.process = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
	if (!opened.process)
		return errno;
	opened.userns = UniqueFd(open((folder + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
	return opened.userns ? 0 : errno == ENOENT ? ESRCH : errno;
}

bool IsHostAdmin(pid_t thread)
{
	if (thread <= 0)
		return false;
	const std::string folder = FolderOf(thread);
	struct stat userns;
	if (stat((folder + "/ns/user").c_str(), &userns) || userns.st_ino != kInitialInum)
		return false;
	unsigned long long effective = strtoull(StatusOf(folder, "CapEff:").c_str(), nullptr, 16);
	return effective >> CAP_SYS_ADMIN & 1;
}

} // namespace loopwarden
