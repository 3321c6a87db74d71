// SPDX-License-Identifier: Apache-2.0
#include "uevent_source.h"

#include <limits.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "process_namespace.h"
#include "unique_fd.h"
#include "uv_poll.h"

namespace loopwarden
{

constexpr char UeventSource::kName[];
const napi_type_tag UeventSource::kTag = {0x6c6f6f7077617264, 0x656e00000000000d};

namespace
{

constexpr uint32_t kKernelGroup = 1;
// UEVENT_BUFFER_SIZE and the first string.
constexpr size_t kMaxBytes = 8192;
// At one wake-up; the rest at the next, so that a flood leaves room for everything else.
constexpr int kAtOnce = 64;

// In the child: the descriptor, or a negative errno.
int OpenHere(int userns)
{
	if (setns(userns, CLONE_NEWUSER))
		return -errno;
	int made =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	struct sockaddr_nl address = {};
	address.nl_family = AF_NETLINK;
	address.nl_groups = kKernelGroup;
	if (made < 0 || bind(made, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)))
		return -errno;
	return made;
}

// A process with threads cannot change its user namespace, so a child does that shares our table of
// descriptors. It only makes system calls: the other threads may have held any lock.
int OpenInUserns(int userns, UniqueFd &opened)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return errno;
	UniqueFd reading(ends[0]), writing(ends[1]);
	long child = syscall(SYS_clone, CLONE_FILES, nullptr, nullptr, nullptr, nullptr);
	if (child < 0)
		return errno;
	if (child == 0) {
		int answer = OpenHere(userns);
		ssize_t written = write(ends[1], &answer, sizeof(answer));
		(void)written;
		_exit(0);
	}
	while (waitpid(static_cast<pid_t>(child), nullptr, __WALL) < 0 && errno == EINTR)
		continue;
	int answer = -EPROTO;
	if (read(reading.Get(), &answer, sizeof(answer)) != sizeof(answer))
		return EPROTO;
	if (answer < 0)
		return -answer;
	opened.Reset(answer);
	return 0;
}

} // namespace

class SourcePump : public std::enable_shared_from_this<SourcePump>
{
      public:
	SourcePump(Napi::Env env, UniqueFd socket, Napi::Function on_text)
	    : env_(env), socket_(std::move(socket)), on_text_(Napi::Persistent(on_text))
	{
	}

	void Start();
	void Close();

      private:
	static void OnReadable(struct uv_poll_s *poll, int status, int events) noexcept;
	static void OnPollClosed(struct uv_handle_s *handle) noexcept;
	static void OnEnvironmentEnds(napi_async_cleanup_hook_handle hook, void *pump) noexcept;
	void ReadSome();
	void Tell(napi_value text);

	Napi::Env env_;
	UniqueFd socket_;
	Napi::FunctionReference on_text_;
	std::unique_ptr<Napi::AsyncContext> context_;
	struct uv_poll_s *poll_ = nullptr;
	napi_async_cleanup_hook_handle hook_ = nullptr;
};

void SourcePump::Start()
{
	struct uv_loop_s *loop = nullptr;
	if (napi_get_uv_event_loop(env_, &loop) != napi_ok ||
	    strcmp(uv_handle_type_name(kUvPoll), "poll") != 0)
		ThrowReason(env_, "openUeventSource", ENOSYS, "", "this Node has another libuv");
	context_ = std::make_unique<Napi::AsyncContext>(env_, "loopwarden:uevents");
	poll_ = static_cast<struct uv_poll_s *>(calloc(1, uv_handle_size(kUvPoll)));
	if (!poll_)
		ThrowErrno(env_, "openUeventSource", ENOMEM);
	int error = uv_poll_init(loop, poll_, socket_.Get());
	if (error) {
		free(poll_);
		poll_ = nullptr;
		ThrowErrno(env_, "openUeventSource", -error);
	}
	// From here on only OnPollClosed may free the handle, so it keeps the pump.
	uv_handle_set_data(reinterpret_cast<struct uv_handle_s *>(poll_),
			   new std::shared_ptr<SourcePump>(shared_from_this()));
	napi_add_async_cleanup_hook(env_, OnEnvironmentEnds, this, &hook_);
	error = uv_poll_start(poll_, kUvReadable, OnReadable);
	if (error) {
		Close();
		ThrowErrno(env_, "openUeventSource", -error);
	}
	uv_unref(reinterpret_cast<struct uv_handle_s *>(poll_));
}

void SourcePump::Close()
{
	on_text_.Reset();
	context_.reset();
	if (!poll_)
		return;
	uv_poll_stop(poll_);
	uv_close(reinterpret_cast<struct uv_handle_s *>(poll_), OnPollClosed);
	poll_ = nullptr;
}

void SourcePump::OnPollClosed(struct uv_handle_s *handle) noexcept
{
	auto *pump = static_cast<std::shared_ptr<SourcePump> *>(uv_handle_get_data(handle));
	// Node waits for this before it takes the loop of a worker thread away.
	napi_remove_async_cleanup_hook((*pump)->hook_);
	delete pump;
	free(handle);
}

void SourcePump::OnEnvironmentEnds(napi_async_cleanup_hook_handle, void *pump) noexcept
{
	static_cast<SourcePump *>(pump)->Close();
}

void SourcePump::OnReadable(struct uv_poll_s *poll, int, int) noexcept
{
	auto *held = static_cast<std::shared_ptr<SourcePump> *>(
	    uv_handle_get_data(reinterpret_cast<struct uv_handle_s *>(poll)));
	std::shared_ptr<SourcePump> pump = *held;
	try {
		Napi::HandleScope scope(pump->env_);
		pump->ReadSome();
	} catch (const Napi::Error &error) {
		napi_fatal_exception(pump->env_, error.Value());
	} catch (const std::exception &) {
		// No memory for a text: it is lost, as one is that finds the queue full.
	}
}

void SourcePump::ReadSome()
{
	// Told by a script, it may be closed from within.
	for (int read = 0; read < kAtOnce && poll_; read++) {
		char text[kMaxBytes];
		struct sockaddr_nl from = {};
		socklen_t size = sizeof(from);
		ssize_t length = recvfrom(socket_.Get(), text, sizeof(text), MSG_DONTWAIT,
					  reinterpret_cast<struct sockaddr *>(&from), &size);
		if (length < 0 && errno != ENOBUFS)
			return;
		// The queue was full: some are missing.
		if (length < 0)
			Tell(env_.Null());
		// Others may send, too; they are not the kernel.
		else if (from.nl_pid == 0)
			Tell(Napi::Buffer<char>::Copy(env_, text, static_cast<size_t>(length)));
	}
}

void SourcePump::Tell(napi_value text)
{
	on_text_.MakeCallback(env_.Global(), {text}, *context_);
}

SourceState::SourceState(std::shared_ptr<SourcePump> started) : pump(std::move(started))
{
}

SourceState::~SourceState()
{
	pump->Close();
}

void UeventSource::Register(Napi::Env env)
{
	Define(env, {});
}

Napi::Value UeventSource::Open(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	int pid = NumberArgument(info, 0, "pid", 1, INT_MAX);
	auto start = static_cast<uint64_t>(NumberArgument(info, 1, "startTicks", 0, 1LL << 53));
	Napi::Function on_text = FunctionArgument(info, 2, "onText");
	const std::string subject = "pid " + std::to_string(pid);
	UniqueFd userns, socket;
	int error = OpenProcessNamespace(pid, start, "user", userns);
	if (!error)
		error = OpenInUserns(userns.Get(), socket);
	if (error)
		ThrowErrno(env, "openUeventSource", error, subject);
	auto pump = std::make_shared<SourcePump>(env, std::move(socket), on_text);
	pump->Start();
	Napi::Value source = Make(env, std::make_unique<SourceState>(std::move(pump)));
	Of(source)->StayAlive();
	return source;
}

} // namespace loopwarden
