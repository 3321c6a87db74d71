// SPDX-License-Identifier: Apache-2.0
#define FUSE_USE_VERSION 312
#include "fuse_server.h"

#include <fuse3/fuse_log.h>
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>

#include "fuse_mount.h"
#include "fuse_operations.h"

namespace loopwarden
{
namespace
{

// Instances are numbered from 1 to UINT32_MAX; these two lie beyond.
constexpr uint64_t kTimerTag = 1ull << 32;
constexpr uint64_t kWakeTag = kTimerTag + 1;
// What libfuse may read before the first request has told it our limits. Only the pages that
// requests touch are ever there.
constexpr size_t kBufferBytes = (1 << 20) + (64 << 10);

void IgnoreLog(enum fuse_log_level, const char *, va_list)
{
}

struct fuse_session *NewSession(FuseInstance *instance, int fd)
{
	char name[] = "loopfs";
	char *arguments[] = {name, nullptr};
	struct fuse_args args = FUSE_ARGS_INIT(1, arguments);
	struct fuse_session *session =
	    fuse_session_new(&args, &FuseOperations(), sizeof(struct fuse_lowlevel_ops), instance);
	fuse_opt_free_args(&args);
	if (!session)
		return nullptr;
	// libfuse's way to say that somebody else has mounted it; the session owns the fd then.
	std::string mounted = "/dev/fd/" + std::to_string(fd);
	if (fuse_session_mount(session, mounted.c_str())) {
		fuse_session_destroy(session);
		return nullptr;
	}
	return session;
}

} // namespace

FuseServer::FuseServer(const RequestLimits &limits, FuseRequests::Dispatch dispatch, OnEnd on_end)
    : requests_(limits, std::move(dispatch)), on_end_(std::move(on_end)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
	fuse_set_log_func(IgnoreLog);
}

FuseServer::~FuseServer()
{
	Stop();
}

int FuseServer::Start(unsigned threads)
{
	if (!epoll_ || !wake_ || requests_.TimerFd() < 0)
		return EMFILE;
	if (!Watch(requests_.TimerFd(), kTimerTag, EPOLL_CTL_ADD))
		return errno;
	// Level-triggered and never read: it wakes every thread.
	struct epoll_event event = {};
	event.events = EPOLLIN;
	event.data.u64 = kWakeTag;
	if (epoll_ctl(epoll_.Get(), EPOLL_CTL_ADD, wake_.Get(), &event))
		return errno;
	// Signals are for Node's own thread.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = 0;
	try {
		for (unsigned i = 0; i < threads; i++)
			threads_.emplace_back(&FuseServer::Run, this);
	} catch (const std::exception &) {
		error = EAGAIN;
	}
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	if (error)
		Stop();
	return error;
}

void FuseServer::Stop()
{
	if (stopping_.exchange(true))
		return;
	uint64_t one = 1;
	ssize_t written = write(wake_.Get(), &one, sizeof(one));
	(void)written;
	for (std::thread &thread : threads_)
		thread.join();
	requests_.Abandon(nullptr);
	std::lock_guard<std::mutex> lock(mutex_);
	for (auto &[id, instance] : instances_)
		fuse_session_exit(instance->session);
	instances_.clear();
}

int FuseServer::Mount(const FuseScope &scope, uint32_t &id, UniqueFd &mount, std::string &step)
{
	FuseMount made;
	int error = MakeFuseMount(scope, made, step);
	if (error)
		return error;
	std::lock_guard<std::mutex> lock(mutex_);
	step = "session";
	auto instance = std::make_shared<FuseInstance>(next_id_, scope, requests_);
	instance->session = NewSession(instance.get(), made.device.Get());
	if (!instance->session)
		return ENOMEM;
	instance->fd = made.device.Release();
	instances_.emplace(instance->id, instance);
	if (!Watch(instance->fd, instance->id, EPOLL_CTL_ADD)) {
		error = errno;
		instances_.erase(instance->id);
		return error;
	}
	next_id_++;
	id = instance->id;
	mount = std::move(made.mount);
	return 0;
}

bool FuseServer::End(uint32_t id)
{
	std::shared_ptr<FuseInstance> instance = Find(id);
	return instance && Remove(instance);
}

bool FuseServer::SetDevice(uint32_t id, uint32_t number, bool present)
{
	std::shared_ptr<FuseInstance> instance = Find(id);
	if (instance)
		instance->SetDevice(number, present);
	return instance != nullptr;
}

size_t FuseServer::CountInstances() const
{
	std::lock_guard<std::mutex> lock(mutex_);
	return instances_.size();
}

std::shared_ptr<FuseInstance> FuseServer::Find(uint32_t id) const
{
	std::lock_guard<std::mutex> lock(mutex_);
	auto found = instances_.find(id);
	return found == instances_.end() ? nullptr : found->second;
}

// False if somebody else has. The descriptor goes with the last one who works for the instance.
bool FuseServer::Remove(const std::shared_ptr<FuseInstance> &instance)
{
	{
		std::lock_guard<std::mutex> lock(mutex_);
		if (!instances_.erase(instance->id))
			return false;
		epoll_ctl(epoll_.Get(), EPOLL_CTL_DEL, instance->fd, nullptr);
	}
	fuse_session_exit(instance->session);
	requests_.Abandon(instance.get());
	return true;
}

bool FuseServer::Watch(int fd, uint64_t tag, int operation)
{
	struct epoll_event event = {};
	event.events = EPOLLIN | EPOLLONESHOT;
	event.data.u64 = tag;
	return epoll_ctl(epoll_.Get(), operation, fd, &event) == 0;
}

void FuseServer::Run()
{
	pthread_setname_np(pthread_self(), "lw-loopfs");
	std::unique_ptr<void, decltype(&free)> buffer(malloc(kBufferBytes), free);
	while (buffer && !stopping_) {
		struct epoll_event event;
		if (epoll_wait(epoll_.Get(), &event, 1, -1) < 1 || stopping_)
			continue;
		if (event.data.u64 == kTimerTag) {
			requests_.Expire();
			Watch(requests_.TimerFd(), kTimerTag, EPOLL_CTL_MOD);
		} else if (event.data.u64 != kWakeTag) {
			if (auto instance = Find(static_cast<uint32_t>(event.data.u64)))
				Serve(instance, buffer.get());
		}
	}
}

void FuseServer::Serve(const std::shared_ptr<FuseInstance> &instance, void *buffer)
{
	struct fuse_buf request = {};
	request.mem = buffer;
	int size = fuse_session_receive_buf(instance->session, &request);
	if (fuse_session_exited(instance->session)) {
		// The last mount has gone, or the connection was aborted.
		if (Remove(instance))
			on_end_(instance->id);
		return;
	}
	// Before the work, so that another thread can read this instance's next request meanwhile.
	Watch(instance->fd, instance->id, EPOLL_CTL_MOD);
	if (size > 0)
		fuse_session_process_buf(instance->session, &request);
}

} // namespace loopwarden
