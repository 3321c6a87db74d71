// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_FUSE_SERVER_H
#define LOOPWARDEN_FUSE_SERVER_H

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "fuse_instance.h"
#include "fuse_requests.h"
#include "unique_fd.h"

namespace loopwarden
{

// All instances, served by a few threads through one epoll. One request is read at a wake-up and
// the descriptor then queues again behind the others, so that no instance's flood keeps the rest
// waiting.
class FuseServer
{
      public:
	using OnEnd = std::function<void(uint32_t instance)>;

	FuseServer(const RequestLimits &limits, FuseRequests::Dispatch dispatch, OnEnd on_end);
	~FuseServer();
	FuseServer(const FuseServer &) = delete;
	FuseServer &operator=(const FuseServer &) = delete;

	// 0 or an errno.
	int Start(unsigned threads);
	void Stop();
	int Mount(const FuseScope &scope, uint32_t &id, UniqueFd &mount, std::string &step);
	// Ends the connection: whoever still has the mount gets ENOTCONN. Not reported.
	bool End(uint32_t id);
	bool SetDevice(uint32_t id, uint32_t number, bool present);
	void Respond(uint64_t id, int64_t result)
	{
		requests_.Respond(id, result);
	}
	pid_t PidOf(uint64_t request)
	{
		return requests_.PidOf(request);
	}
	size_t CountInstances() const;

      private:
	std::shared_ptr<FuseInstance> Find(uint32_t id) const;
	bool Remove(const std::shared_ptr<FuseInstance> &instance);
	bool Watch(int fd, uint64_t tag, int operation);
	void Run();
	void Serve(const std::shared_ptr<FuseInstance> &instance, void *buffer);

	FuseRequests requests_;
	const OnEnd on_end_;
	UniqueFd epoll_;
	UniqueFd wake_;
	std::atomic<bool> stopping_{false};
	std::vector<std::thread> threads_;
	mutable std::mutex mutex_;
	uint32_t next_id_ = 1;
	std::unordered_map<uint32_t, std::shared_ptr<FuseInstance>> instances_;
};

} // namespace loopwarden

#endif
