// SPDX-License-Identifier: Apache-2.0
#include "process_namespace.h"

#include <poll.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace loopwarden
{
namespace
{

// Of /proc/PID/stat, counted from 1.
constexpr int kStartField = 22;
constexpr int kStateField = 3;

int ReadStartTicks(const std::string &folder, uint64_t &ticks)
{
	UniqueFd file(open((folder + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
	if (!file)
		return errno == ENOENT ? ESRCH : errno;
	char text[1024];
	ssize_t length = read(file.Get(), text, sizeof(text) - 1);
	if (length < 0)
		return errno;
	text[length] = '\0';
	// The second field is a name that the process chose, with any brackets in it that it likes.
	char *at = strrchr(text, ')');
	for (int field = kStateField - 1; at && field < kStartField; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return EPROTO;
	ticks = strtoull(at + 1, nullptr, 10);
	return 0;
}

} // namespace

int OpenProcessNamespace(int pid, uint64_t start_ticks, const char *kind, UniqueFd &opened)
{
	UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
	if (!process)
		return errno;
	std::string folder = "/proc/" + std::to_string(pid);
	uint64_t ticks = 0;
	int error = ReadStartTicks(folder, ticks);
	if (error)
		return error;
	if (ticks != start_ticks)
		return ESRCH;
	UniqueFd file(open((folder + "/ns/" + kind).c_str(), O_RDONLY | O_CLOEXEC));
	if (!file)
		return errno == ENOENT ? ESRCH : errno;
	// Still there, so its pid was never free between the first step and this one.
	struct pollfd ended = {process.Get(), POLLIN, 0};
	if (poll(&ended, 1, 0) < 0)
		return errno;
	if (ended.revents)
		return ESRCH;
	opened = std::move(file);
	return 0;
}

} // namespace loopwarden
