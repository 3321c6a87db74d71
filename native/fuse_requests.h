// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_FUSE_REQUESTS_H
#define LOOPWARDEN_FUSE_REQUESTS_H

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "unique_fd.h"

struct fuse_req;

namespace loopwarden
{

struct FuseInstance;

struct RequestLimits {
	// For each instance: how many JavaScript works on at once, and how many wait for that.
	uint32_t outstanding;
	uint32_t queued;
	std::chrono::milliseconds deadline;
};

// What JavaScript is asked. Numbers, so that it crosses threads by value.
struct RequestCall {
	uint64_t id;
	uint32_t instance;
	const char *operation;
	int64_t argument;
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

// The calls of containers that JavaScript decides. Each is answered exactly once: by JavaScript, by
// the deadline, by a signal to the caller, or by the end of its instance.
class FuseRequests
{
      public:
	using Dispatch = std::function<bool(const RequestCall &call)>;

	FuseRequests(const RequestLimits &limits, Dispatch dispatch);

	// Takes the request over. Beyond the bounds it is answered EAGAIN at once.
	void Submit(struct fuse_req *request, const char *operation, int64_t argument);
	// JavaScript's answer: a result, or a negative errno.
	void Respond(uint64_t id, int64_t result);
	// The thread that waits for an answer, and cannot end before it has one; 0 once it is answered.
	pid_t PidOf(uint64_t id);
	// Answers what is past its deadline with EIO; to be called when `TimerFd` is readable.
	void Expire();
	// Answers all of an instance (null: of all) with EIO.
	void Abandon(const FuseInstance *instance);
	int TimerFd() const
	{
		return timer_.Get();
	}

      private:
	using Clock = std::chrono::steady_clock;
	struct Pending {
		struct fuse_req *request;
		std::shared_ptr<FuseInstance> instance;
		RequestCall call;
		Clock::time_point deadline;
	};

	static void OnInterrupt(struct fuse_req *request, void *table);
	void Interrupt(const struct fuse_req *request);
	void Start(Pending &pending);
	void Arm();
	// Takes it out of the table; false if somebody else has answered.
	bool Take(uint64_t id, Pending &taken);
	static void Answer(const Pending &pending, int64_t result);

	const RequestLimits limits_;
	const Dispatch dispatch_;
	UniqueFd timer_;
	std::mutex mutex_;
	uint64_t next_id_ = 1;
	bool armed_ = false;
	// Every request gets the same time, so the order of ids is that of the deadlines.
	std::map<uint64_t, Pending> pending_;
	// What JavaScript was given and has not answered, whoever answered the caller meanwhile.
	std::map<uint64_t, std::shared_ptr<FuseInstance>> started_;
};

} // namespace loopwarden

#endif
