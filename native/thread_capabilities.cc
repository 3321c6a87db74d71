// SPDX-License-Identifier: Apache-2.0
#include "thread_capabilities.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace loopwarden
{
namespace
{

// The signal by which glibc has all threads change their user id (nptl, SIGSETXID): the only one that no thread can
// block, since glibc leaves it out of every mask. Node's inspector blocks all others in a thread of its own.
constexpr int kSetIdSignal = __SIGRTMIN + 1;
constexpr int kRestorer = 0x04000000;
constexpr size_t kKernelMaskBytes = 8;
constexpr long kPollNs = 200000;
constexpr int kPolls = 25000;

// As the kernel has it: glibc's own call refuses that signal.
struct KernelAction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)();
	uint64_t mask;
};

std::mutex settled_mutex;
std::set<pid_t> settled;
std::atomic<uint64_t> wanted{0};

void OnSignal(int, siginfo_t *, void *)
{
	int before = errno;
	// What it could not do is seen by whoever looks.
	LimitThread(wanted);
	errno = before;
}

pid_t OwnThread()
{
	return static_cast<pid_t>(syscall(SYS_gettid));
}

// 0 for a thread that has ended.
uint64_t HeldBy(pid_t thread)
{
	std::string path = "/proc/self/task/" + std::to_string(thread) + "/status";
	std::unique_ptr<FILE, int (*)(FILE *)> status(fopen(path.c_str(), "re"), fclose);
	char line[256];
	while (status && fgets(line, sizeof(line), status.get()))
		if (!strncmp(line, "CapPrm:", 7))
			return strtoull(line + 7, nullptr, 16);
	return 0;
}

// Of those that have more than `keep`.
std::set<pid_t> ThreadsBeyond(uint64_t keep)
{
	std::set<pid_t> beyond;
	std::unique_ptr<DIR, int (*)(DIR *)> tasks(opendir("/proc/self/task"), closedir);
	std::lock_guard<std::mutex> lock(settled_mutex);
	while (struct dirent *entry = tasks ? readdir(tasks.get()) : nullptr) {
		pid_t thread = atoi(entry->d_name);
		if (thread > 0 && !settled.count(thread) && HeldBy(thread) & ~keep)
			beyond.insert(thread);
	}
	return beyond;
}

int SignalUntilLimited(uint64_t keep)
{
	std::set<pid_t> asked;
	for (int poll = 0; poll < kPolls; poll++) {
		std::set<pid_t> beyond = ThreadsBeyond(keep);
		if (beyond.empty())
			return 0;
		// A thread that was only just started by one that had not obeyed yet comes up in a later round.
		for (pid_t thread : beyond)
			if (asked.insert(thread).second)
				syscall(SYS_tgkill, getpid(), thread, kSetIdSignal);
		struct timespec pause = {0, kPollNs};
		nanosleep(&pause, nullptr);
	}
	return ETIMEDOUT;
}

} // namespace

int LimitThread(uint64_t keep)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
	if (syscall(SYS_capget, &header, words))
		return errno;
	for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; word++) {
		words[word].permitted &= static_cast<uint32_t>(keep >> (32 * word));
		words[word].effective = words[word].permitted;
		// The ambient ones go with them.
		words[word].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, words) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return errno;
	return 0;
}

int LimitProcess(uint64_t keep)
{
	int error = LimitThread(keep);
	if (error)
		return error;
	struct KernelAction before = {};
	if (syscall(SYS_rt_sigaction, kSetIdSignal, nullptr, &before, kKernelMaskBytes))
		return errno;
	wanted = keep;
	struct KernelAction ours = {OnSignal, SA_SIGINFO | SA_RESTART | (before.flags & kRestorer),
				    before.restorer, ~0ULL};
	if (syscall(SYS_rt_sigaction, kSetIdSignal, &ours, nullptr, kKernelMaskBytes))
		return errno;
	error = SignalUntilLimited(keep);
	syscall(SYS_rt_sigaction, kSetIdSignal, &before, nullptr, kKernelMaskBytes);
	return error;
}

OwnCapabilities::OwnCapabilities(uint64_t keep) : thread_(OwnThread()), error_(LimitThread(keep))
{
	std::lock_guard<std::mutex> lock(settled_mutex);
	settled.insert(thread_);
}

OwnCapabilities::~OwnCapabilities()
{
	std::lock_guard<std::mutex> lock(settled_mutex);
	settled.erase(thread_);
}

} // namespace loopwarden
