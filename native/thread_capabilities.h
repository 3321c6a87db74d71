// SPDX-License-Identifier: Apache-2.0
/* Capabilities are each thread's own: the kernel has no call that takes them from a whole process. */
#ifndef LOOPWARDEN_THREAD_CAPABILITIES_H
#define LOOPWARDEN_THREAD_CAPABILITIES_H

#include <linux/capability.h>
#include <sys/types.h>

#include <cstdint>

namespace loopwarden
{

constexpr uint64_t CapabilityBit(int capability)
{
	return 1ULL << capability;
}

// All return 0 or an errno. `keep`: bits of linux/capability.h; what the thread has not is not given to it.

// Takes all others from the calling thread for good: a program that it runs has no more either
// (no_new_privs), whatever the bounding set says. Async-signal-safe.
int LimitThread(uint64_t keep);
// The same for all threads but those that have settled theirs by themselves. Threads that are started later have
// what their starter has. Looks that it is so: ETIMEDOUT if a thread has not obeyed within five seconds.
int LimitProcess(uint64_t keep);

// The calling thread has settled its own, as long as this lives.
class OwnCapabilities
{
      public:
	explicit OwnCapabilities(uint64_t keep);
	~OwnCapabilities();
	OwnCapabilities(const OwnCapabilities &) = delete;
	OwnCapabilities &operator=(const OwnCapabilities &) = delete;

	// 0, or why they could not be limited.
	int Error() const
	{
		return error_;
	}

      private:
	pid_t thread_;
	int error_;
};

} // namespace loopwarden

#endif
