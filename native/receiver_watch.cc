// SPDX-License-Identifier: Apache-2.0
#include "receiver_watch.h"

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <future>
#include <mutex>
#include <new>
#include <thread>

#include "../bpf/event.h"
#include "arguments.h"
#include "bpf_fd.h"
#include "errors.h"
#include "map.h"
#include "program.h"
#include "thread_capabilities.h"
#include "uevent_socket.h"

namespace loopwarden
{

constexpr char ReceiverWatch::kName[];
const napi_type_tag ReceiverWatch::kTag = {0x6c6f6f7077617264, 0x656e00000000000a};

namespace
{

// Outcomes that wait for the event loop; past it they are not reported, but the filters are
// attached all the same.
constexpr size_t kQueueLength = 4096;
constexpr size_t kRecordLeast = offsetof(struct receiver_event, fd) + sizeof(__s32);

struct Outcome {
	int32_t pid;
	int32_t fd;
	uint64_t inode = 0;
	uint64_t cookie = 0;
	const char *name = "failed";
	int error = 0;
	int64_t latency_ns = 0;
};

uint64_t BootNs()
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

void SetNumber(napi_env env, napi_value object, const char *name, double number)
{
	napi_value value;
	if (napi_create_double(env, number, &value) == napi_ok)
		napi_set_named_property(env, object, name, value);
}

void SetBigint(napi_env env, napi_value object, const char *name, uint64_t number)
{
	napi_value value;
	if (napi_create_bigint_uint64(env, number, &value) == napi_ok)
		napi_set_named_property(env, object, name, value);
}

// On the event loop. Without an env it is going away and only the memory matters.
void Report(napi_env env, napi_value callback, void *, void *data) noexcept
{
	std::unique_ptr<Outcome> outcome(static_cast<Outcome *>(data));
	napi_value object, text, global;
	if (!env || !callback || napi_create_object(env, &object) != napi_ok ||
	    napi_create_string_utf8(env, outcome->name, NAPI_AUTO_LENGTH, &text) != napi_ok ||
	    napi_get_global(env, &global) != napi_ok)
		return;
	SetNumber(env, object, "pid", outcome->pid);
	SetNumber(env, object, "fd", outcome->fd);
	SetBigint(env, object, "inode", outcome->inode);
	SetBigint(env, object, "cookie", outcome->cookie);
	napi_set_named_property(env, object, "outcome", text);
	SetNumber(env, object, "errno", outcome->error);
	SetNumber(env, object, "latencyNs", static_cast<double>(outcome->latency_ns));
	if (napi_call_function(env, global, callback, 1, &object, nullptr) !=
	    napi_pending_exception)
		return;
	napi_value thrown;
	if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok)
		napi_fatal_exception(env, thrown);
}

} // namespace

class WatchThread
{
      public:
	explicit WatchThread(Napi::Env env) : env_(env)
	{
	}
	~WatchThread()
	{
		Stop();
		ring_buffer__free(ring_);
	}

	void Start(const MapState &map, UniqueFd program, Napi::Function on_outcome);
	void Stop();
	void SetProgram(UniqueFd program)
	{
		std::lock_guard<std::mutex> lock(mutex_);
		program_ = std::move(program);
	}

      private:
	static void OnEnvironmentEnds(void *watch) noexcept
	{
		static_cast<WatchThread *>(watch)->Stop();
	}
	static int OnRecord(void *watch, void *data, size_t size) noexcept;
	void Run() noexcept;
	void Handle(const struct receiver_event &event, Outcome &outcome);
	int Attach(int socket, Outcome &outcome);

	Napi::Env env_;
	UniqueFd map_;
	UniqueFd wake_;
	struct ring_buffer *ring_ = nullptr;
	napi_threadsafe_function report_ = nullptr;
	std::mutex mutex_;
	UniqueFd program_;
	std::atomic<bool> stopping_{false};
	std::promise<void> settled_;
	std::thread thread_;
};

void WatchThread::Start(const MapState &map, UniqueFd program, Napi::Function on_outcome)
{
	map_ = Duplicate(env_, "watchReceivers", map.fd.Get());
	program_ = std::move(program);
	wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (!wake_)
		ThrowErrno(env_, "watchReceivers", errno);
	{
		LogCapture capture;
		ring_ = ring_buffer__new(map_.Get(), OnRecord, this, nullptr);
		if (!ring_)
			ThrowErrno(env_, "watchReceivers", errno, map.name, capture.Text());
	}
	napi_value name = Napi::String::New(env_, "loopwarden:receivers");
	napi_status status =
	    napi_create_threadsafe_function(env_, on_outcome, nullptr, name, kQueueLength, 1,
					    nullptr, nullptr, nullptr, Report, &report_);
	if (status != napi_ok)
		ThrowErrno(env_, "watchReceivers", ENOMEM);
	napi_unref_threadsafe_function(env_, report_);
	// Signals are for Node's own thread.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	try {
		thread_ = std::thread(&WatchThread::Run, this);
	} catch (const std::exception &) {
		pthread_sigmask(SIG_SETMASK, &before, nullptr);
		ThrowErrno(env_, "watchReceivers", EAGAIN);
	}
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	settled_.get_future().wait();
	// Runs before Node takes the thread-safe function away, which was made earlier.
	napi_add_env_cleanup_hook(env_, OnEnvironmentEnds, this);
}

void WatchThread::Stop()
{
	if (stopping_.exchange(true))
		return;
	if (thread_.joinable()) {
		uint64_t one = 1;
		ssize_t written = write(wake_.Get(), &one, sizeof(one));
		(void)written;
		thread_.join();
		napi_remove_env_cleanup_hook(env_, OnEnvironmentEnds, this);
	}
	if (report_)
		napi_release_threadsafe_function(report_, napi_tsfn_abort);
}

void WatchThread::Run() noexcept
{
	struct sched_param parameters = {};
	parameters.sched_priority = 1;
	// Refused without CAP_SYS_NICE or inside some cgroups; an ordinary thread is only slower.
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters);
	pthread_setname_np(pthread_self(), "lw-receivers");
	// For pidfd_getfd(2); from its first moment all that it may do, and kept when the others give up theirs.
	OwnCapabilities own(CapabilityBit(CAP_SYS_PTRACE));
	settled_.set_value();
	struct pollfd sources[] = {
	    {ring_buffer__epoll_fd(ring_), POLLIN, 0},
	    {wake_.Get(), POLLIN, 0},
	};
	// What is in the ring already gets no wake-up of its own.
	ring_buffer__consume(ring_);
	while (!stopping_) {
		if (poll(sources, 2, -1) < 0 && errno != EINTR)
			break;
		if (!stopping_)
			ring_buffer__consume(ring_);
	}
}

int WatchThread::OnRecord(void *context, void *data, size_t size) noexcept
{
	WatchThread *watch = static_cast<WatchThread *>(context);
	if (watch->stopping_)
		return -ECANCELED;
	if (size < kRecordLeast)
		return 0;
	struct receiver_event event = {};
	memcpy(&event, data, size < sizeof(event) ? size : sizeof(event));
	std::unique_ptr<Outcome> outcome(new (std::nothrow) Outcome);
	if (!outcome)
		return 0;
	watch->Handle(event, *outcome);
	if (napi_call_threadsafe_function(watch->report_, outcome.get(), napi_tsfn_nonblocking) ==
	    napi_ok)
		outcome.release();
	return 0;
}

void WatchThread::Handle(const struct receiver_event &event, Outcome &outcome)
{
	outcome.pid = static_cast<int32_t>(event.pid);
	outcome.fd = event.fd;
	UniqueFd socket;
	int error = TakeUeventSocket(outcome.pid, outcome.fd, socket);
	if (!error)
		error = Attach(socket.Get(), outcome);
	outcome.error = error;
	outcome.latency_ns = static_cast<int64_t>(BootNs() - event.header.boot_ns);
	if (error == ESRCH || error == EBADF)
		outcome.name = "gone";
	else if (error == EPROTOTYPE)
		outcome.name = "not_uevent";
	else if (error)
		outcome.name = "failed";
	if (!socket)
		return;
	SocketInode(socket.Get(), outcome.inode);
	SocketCookie(socket.Get(), outcome.cookie);
}

int WatchThread::Attach(int socket, Outcome &outcome)
{
	FilterKind kind = FilterKind::kNone;
	int error = ProbeFilter(socket, kind);
	if (error)
		return error;
	// Held while attaching, so that a program taken away is never attached afterwards.
	std::lock_guard<std::mutex> lock(mutex_);
	if (!program_) {
		outcome.name = "off";
		return 0;
	}
	if (kind != FilterKind::kNone) {
		outcome.name = kind == FilterKind::kEbpf ? "already" : "foreign";
		return 0;
	}
	outcome.name = "attached";
	return AttachFilter(socket, program_.Get());
}

WatchState::WatchState(std::unique_ptr<WatchThread> started) : thread(std::move(started))
{
}

WatchState::~WatchState()
{
}

void ReceiverWatch::Register(Napi::Env env)
{
	Define(env, {
			Call<&ReceiverWatch::SetProgram>("setProgram"),
		    });
}

Napi::Value ReceiverWatch::Open(const Napi::CallbackInfo &info)
{
	MapState &map = Map::Argument(info, 0, "ring");
	UniqueFd program;
	if (!info[1].IsNull())
		program = Duplicate(info.Env(), "watchReceivers",
				    Program::Argument(info, 1, "program").fd.Get());
	Napi::Function on_outcome = FunctionArgument(info, 2, "onOutcome");
	if (map.type != BPF_MAP_TYPE_RINGBUF)
		ThrowReason(info.Env(), "watchReceivers", EINVAL, map.name, "not a ring buffer");
	auto thread = std::make_unique<WatchThread>(info.Env());
	thread->Start(map, std::move(program), on_outcome);
	Napi::Value watch = Make(info.Env(), std::make_unique<WatchState>(std::move(thread)));
	Of(watch)->StayAlive();
	return watch;
}

Napi::Value ReceiverWatch::SetProgram(const Napi::CallbackInfo &info)
{
	UniqueFd program;
	if (!info[0].IsNull())
		program = Duplicate(info.Env(), "setProgram",
				    Program::Argument(info, 0, "program").fd.Get());
	state_->thread->SetProgram(std::move(program));
	return info.Env().Undefined();
}

} // namespace loopwarden
