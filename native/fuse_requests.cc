// SPDX-License-Identifier: Apache-2.0
#define FUSE_USE_VERSION 312
#include "fuse_requests.h"

#include <fuse3/fuse_lowlevel.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "fuse_instance.h"

namespace loopwarden
{

FuseRequests::FuseRequests(const RequestLimits &limits, Dispatch dispatch)
    : limits_(limits), dispatch_(std::move(dispatch)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK))
{
}

void FuseRequests::Submit(struct fuse_req *request, const char *operation, int64_t argument)
{
	const struct fuse_ctx *caller = fuse_req_ctx(request);
	auto *instance = static_cast<FuseInstance *>(fuse_req_userdata(request));
	Pending pending = {
	    request,
	    instance->shared_from_this(),
	    {0, instance->id, operation, argument, caller->pid, caller->uid, caller->gid},
	    Clock::now() + limits_.deadline,
	};
	// libfuse may call back at once and from within, when the request must not be freed yet: it
	// isn't in the table then, so that nothing happens before the second look below.
	fuse_req_interrupt_func(request, OnInterrupt, this);
	int error = 0;
	{
		std::lock_guard<std::mutex> lock(mutex_);
		bool at_once = instance->outstanding < limits_.outstanding;
		if (fuse_req_interrupted(request)) {
			error = EINTR;
		} else if (!at_once && instance->waiting.size() >= limits_.queued) {
			error = EAGAIN;
		} else {
			pending.call.id = next_id_++;
			Pending &kept =
			    pending_.emplace(pending.call.id, std::move(pending)).first->second;
			if (at_once)
				Start(kept);
			else
				instance->waiting.push_back(kept.call.id);
			Arm();
		}
	}
	if (error)
		fuse_reply_err(request, error);
}

// With the lock held. What can't be handed to JavaScript (it is going away) is left to the deadline
// or to `Abandon`.
void FuseRequests::Start(Pending &pending)
{
	if (!dispatch_(pending.call))
		return;
	pending.instance->outstanding++;
	started_.emplace(pending.call.id, pending.instance);
}

void FuseRequests::Respond(uint64_t id, int64_t result)
{
	Pending answered;
	bool is_awaited;
	std::shared_ptr<FuseInstance> instance;
	{
		std::lock_guard<std::mutex> lock(mutex_);
		auto started = started_.find(id);
		if (started == started_.end())
			return;
		instance = std::move(started->second);
		started_.erase(started);
		instance->outstanding--;
		is_awaited = Take(id, answered);
		while (!instance->waiting.empty() && instance->outstanding < limits_.outstanding) {
			auto next = pending_.find(instance->waiting.front());
			instance->waiting.pop_front();
			if (next != pending_.end())
				Start(next->second);
		}
	}
	if (is_awaited)
		Answer(answered, result);
}

pid_t FuseRequests::PidOf(uint64_t id)
{
	std::lock_guard<std::mutex> lock(mutex_);
	auto found = pending_.find(id);
	return found == pending_.end() ? 0 : found->second.call.pid;
}

void FuseRequests::Expire()
{
	uint64_t ticks;
	ssize_t size = read(timer_.Get(), &ticks, sizeof(ticks));
	(void)size;
	std::vector<Pending> late;
	{
		std::lock_guard<std::mutex> lock(mutex_);
		armed_ = false;
		while (!pending_.empty() && pending_.begin()->second.deadline <= Clock::now()) {
			late.emplace_back();
			Take(pending_.begin()->first, late.back());
		}
		Arm();
	}
	for (const Pending &pending : late)
		Answer(pending, -EIO);
}

void FuseRequests::Abandon(const FuseInstance *instance)
{
	std::vector<Pending> left;
	{
		std::lock_guard<std::mutex> lock(mutex_);
		for (auto at = pending_.begin(); at != pending_.end();) {
			uint64_t id = (at++)->first;
			if (instance && pending_.at(id).instance.get() != instance)
				continue;
			left.emplace_back();
			Take(id, left.back());
		}
	}
	for (const Pending &pending : left)
		Answer(pending, -EIO);
}

void FuseRequests::OnInterrupt(struct fuse_req *request, void *table)
{
	static_cast<FuseRequests *>(table)->Interrupt(request);
}

// The caller got a signal. JavaScript goes on, and its answer finds nobody; what it made stays the
// instance's. A caller that is being killed waits for this answer, too.
void FuseRequests::Interrupt(const struct fuse_req *request)
{
	Pending interrupted;
	{
		std::lock_guard<std::mutex> lock(mutex_);
		auto is_it = [request](const auto &each) { return each.second.request == request; };
		auto found = std::find_if(pending_.begin(), pending_.end(), is_it);
		if (found == pending_.end())
			return;
		Take(found->first, interrupted);
	}
	Answer(interrupted, -EINTR);
}

// With the lock held.
bool FuseRequests::Take(uint64_t id, Pending &taken)
{
	auto found = pending_.find(id);
	if (found == pending_.end())
		return false;
	taken = std::move(found->second);
	pending_.erase(found);
	std::deque<uint64_t> &waiting = taken.instance->waiting;
	auto place = std::find(waiting.begin(), waiting.end(), id);
	if (place != waiting.end())
		waiting.erase(place);
	return true;
}

// With the lock held.
void FuseRequests::Arm()
{
	if (armed_ || pending_.empty())
		return;
	using std::chrono::nanoseconds;
	auto left = std::chrono::duration_cast<nanoseconds>(pending_.begin()->second.deadline -
							    Clock::now());
	int64_t wait_ns = std::max<int64_t>(left.count(), 1);
	struct itimerspec when = {};
	when.it_value.tv_sec = wait_ns / 1000000000;
	when.it_value.tv_nsec = wait_ns % 1000000000;
	timerfd_settime(timer_.Get(), 0, &when, nullptr);
	armed_ = true;
}

void FuseRequests::Answer(const Pending &pending, int64_t result)
{
	// Unlink has no result, and a FUSE error is 0 for success.
	if (result < 0 || pending.call.operation[0] == 'u')
		fuse_reply_err(pending.request, result < 0 ? static_cast<int>(-result) : 0);
	else
		fuse_reply_ioctl(pending.request, static_cast<int>(result), nullptr, 0);
}

} // namespace loopwarden
