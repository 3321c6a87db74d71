// SPDX-License-Identifier: Apache-2.0
#include "privileged_thread.h"

#include <bpf/bpf.h>
#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "arguments.h"
#include "errors.h"
#include "map.h"
#include "thread_capabilities.h"

namespace loopwarden
{
namespace
{

// Sockets, executables and namespaces of other processes.
constexpr uint64_t kPtrace = CapabilityBit(CAP_SYS_PTRACE);
// A cgroup by its id: open_by_handle_at(2).
constexpr uint64_t kSearch = CapabilityBit(CAP_DAC_READ_SEARCH);

class PrivilegedThread
{
      public:
	explicit PrivilegedThread(uint64_t more) : keeps_(kPtrace | kSearch | more)
	{
	}
	// 0, or why it has no thread.
	int Start();
	void Run(const std::function<void()> &body);

      private:
	void Serve() noexcept;

	const uint64_t keeps_;
	// One caller at a time; then what is shared with the thread.
	std::mutex callers_;
	std::mutex mutex_;
	std::condition_variable changed_;
	const std::function<void()> *job_ = nullptr;
	bool ready_ = false;
	int error_ = 0;
};

// Never deleted: the thread is there until the process ends.
PrivilegedThread *privileged = nullptr;

int PrivilegedThread::Start()
{
	// Signals are for Node's own thread.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	try {
		std::thread(&PrivilegedThread::Serve, this).detach();
	} catch (const std::exception &) {
		pthread_sigmask(SIG_SETMASK, &before, nullptr);
		return EAGAIN;
	}
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	std::unique_lock<std::mutex> lock(mutex_);
	changed_.wait(lock, [this] { return ready_; });
	return error_;
}

void PrivilegedThread::Serve() noexcept
{
	pthread_setname_np(pthread_self(), "lw-privileged");
	OwnCapabilities own(keeps_);
	std::unique_lock<std::mutex> lock(mutex_);
	error_ = own.Error();
	ready_ = true;
	changed_.notify_all();
	while (!error_) {
		changed_.wait(lock, [this] { return job_ != nullptr; });
		(*job_)();
		job_ = nullptr;
		changed_.notify_all();
	}
}

void PrivilegedThread::Run(const std::function<void()> &body)
{
	std::lock_guard<std::mutex> alone(callers_);
	std::unique_lock<std::mutex> lock(mutex_);
	job_ = &body;
	changed_.notify_all();
	changed_.wait(lock, [this] { return job_ == nullptr; });
}

// Before 5.19 a kernel that keeps bpf(2) from the unprivileged (kernel.unprivileged_bpf_disabled) asks for CAP_BPF
// even of who has the map open already. Tried by a thread that has nothing left.
bool IsMapRefused(int map)
{
	bool refused = false;
	std::thread([map, &refused] {
		LimitThread(0);
		struct bpf_map_info about = {};
		uint32_t size = sizeof(about);
		refused = bpf_obj_get_info_by_fd(map, &about, &size) && errno == EPERM;
	}).join();
	return refused;
}

} // namespace

void RunPrivileged(const std::function<void()> &body)
{
	if (privileged)
		privileged->Run(body);
	else
		body();
}

Napi::Value DropCapabilities(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	MapState &map = Map::Argument(info, 0, "map");
	auto keep = static_cast<uint64_t>(NumberArgument(info, 1, "keep", 0, (1LL << 53) - 1));
	auto more =
	    static_cast<uint64_t>(NumberArgument(info, 2, "privileged", 0, (1LL << 53) - 1));
	if (IsMapRefused(map.fd.Get()))
		keep |= CapabilityBit(CAP_BPF);
	if (!privileged) {
		auto thread = std::make_unique<PrivilegedThread>(more);
		int error = thread->Start();
		if (error)
			ThrowErrno(env, "dropCapabilities", error, "thread");
		privileged = thread.release();
	}
	int error = LimitProcess(keep);
	if (error)
		ThrowErrno(env, "dropCapabilities", error);
	return Napi::Number::New(env, static_cast<double>(keep));
}

} // namespace loopwarden
