// SPDX-License-Identifier: Apache-2.0
#include "loopfs_server.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <climits>
#include <new>
#include <string>

#include "arguments.h"
#include "caller.h"
#include "errors.h"
#include "fuse_server.h"

namespace loopwarden
{

static constexpr int64_t kExact = 1ll << 53;

constexpr char LoopfsServer::kName[];
const napi_type_tag LoopfsServer::kTag = {0x6c6f6f7077617264, 0x656e000000000101};

// Carries calls and ends from the server's threads to the event loop. The channel is bounded by the
// server: each instance has at most `outstanding` calls in it, and one end.
class ServerBridge
{
      public:
	explicit ServerBridge(Napi::Env env) : env_(env)
	{
	}
	~ServerBridge()
	{
		Stop();
	}

	void Start(const RequestLimits &limits, unsigned threads, Napi::Function on_event);
	void Stop();
	FuseServer &Server()
	{
		return *server_;
	}

      private:
	static void OnEnvironmentEnds(void *bridge)
	{
		static_cast<ServerBridge *>(bridge)->Stop();
	}
	static void Report(napi_env env, napi_value callback, void *context, void *data) noexcept;
	bool Send(const RequestCall &call);

	Napi::Env env_;
	napi_threadsafe_function channel_ = nullptr;
	std::unique_ptr<FuseServer> server_;
};

void ServerBridge::Start(const RequestLimits &limits, unsigned threads, Napi::Function on_event)
{
	napi_value name = Napi::String::New(env_, "loopwarden:loopfs");
	if (napi_create_threadsafe_function(env_, on_event, nullptr, name, 0, 1, nullptr, nullptr,
					    nullptr, Report, &channel_) != napi_ok)
		ThrowErrno(env_, "openServer", ENOMEM);
	server_ = std::make_unique<FuseServer>(
	    limits, [this](const RequestCall &call) { return Send(call); },
	    [this](uint32_t instance) {
		    Send({0, instance, "end", 0, 0, 0, 0});
	    });
	int error = server_->Start(threads);
	if (error)
		ThrowErrno(env_, "openServer", error);
	// Runs before Node takes the thread-safe function away, which was made earlier.
	napi_add_env_cleanup_hook(env_, OnEnvironmentEnds, this);
}

void ServerBridge::Stop()
{
	if (!channel_)
		return;
	if (server_) {
		server_->Stop();
		napi_remove_env_cleanup_hook(env_, OnEnvironmentEnds, this);
	}
	napi_release_threadsafe_function(channel_, napi_tsfn_abort);
	channel_ = nullptr;
}

bool ServerBridge::Send(const RequestCall &call)
{
	std::unique_ptr<RequestCall> copy(new (std::nothrow) RequestCall(call));
	if (!copy ||
	    napi_call_threadsafe_function(channel_, copy.get(), napi_tsfn_nonblocking) != napi_ok)
		return false;
	copy.release();
	return true;
}

void ServerBridge::Report(napi_env env, napi_value callback, void *, void *data) noexcept
{
	std::unique_ptr<RequestCall> call(static_cast<RequestCall *>(data));
	// Null while the environment ends.
	if (!env)
		return;
	const double numbers[] = {
	    static_cast<double>(call->id),       static_cast<double>(call->instance),
	    static_cast<double>(call->argument), static_cast<double>(call->pid),
	    static_cast<double>(call->uid),      static_cast<double>(call->gid),
	};
	constexpr size_t kNumbers = sizeof(numbers) / sizeof(numbers[0]);
	napi_value arguments[kNumbers + 1];
	napi_value self;
	if (napi_get_undefined(env, &self) != napi_ok ||
	    napi_create_string_utf8(env, call->operation, NAPI_AUTO_LENGTH, &arguments[0]) !=
		napi_ok)
		return;
	for (size_t at = 0; at < kNumbers; at++) {
		if (napi_create_double(env, numbers[at], &arguments[at + 1]) != napi_ok)
			return;
	}
	napi_call_function(env, self, callback, kNumbers + 1, arguments, nullptr);
}

// Of the file system, without asking it.
static double DeviceOf(int mount)
{
	struct statx status = {};
	statx(mount, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &status);
	return static_cast<double>(makedev(status.stx_dev_major, status.stx_dev_minor));
}

ServerState::ServerState(std::unique_ptr<ServerBridge> started) : bridge(std::move(started))
{
}

ServerState::~ServerState()
{
}

void LoopfsServer::Register(Napi::Env env)
{
	Define(env, {
			Get<&LoopfsServer::Instances>("instances"),
			Call<&LoopfsServer::Mount>("mount"),
			Call<&LoopfsServer::MountHost>("mountHost"),
			Call<&LoopfsServer::End>("end"),
			Call<&LoopfsServer::SetDevice>("setDevice"),
			Call<&LoopfsServer::Respond>("respond"),
			Call<&LoopfsServer::OpenCaller>("openCaller"),
		    });
}

Napi::Value LoopfsServer::Open(const Napi::CallbackInfo &info)
{
	auto threads = static_cast<unsigned>(NumberArgument(info, 0, "threads", 1, 64));
	RequestLimits limits = {
	    static_cast<uint32_t>(NumberArgument(info, 1, "outstanding", 1, 1024)),
	    static_cast<uint32_t>(NumberArgument(info, 2, "queued", 0, 65536)),
	    std::chrono::milliseconds(NumberArgument(info, 3, "deadlineMs", 1, 600000)),
	};
	Napi::Function on_event = FunctionArgument(info, 4, "onEvent");
	auto bridge = std::make_unique<ServerBridge>(info.Env());
	bridge->Start(limits, threads, on_event);
	Napi::Value server = Make(info.Env(), std::make_unique<ServerState>(std::move(bridge)));
	Of(server)->StayAlive();
	return server;
}

Napi::Value LoopfsServer::Mount(const Napi::CallbackInfo &info)
{
	FuseScope scope = {
	    false,
	    static_cast<uid_t>(NumberArgument(info, 0, "uid", 0, UINT32_MAX - 1)),
	    static_cast<gid_t>(NumberArgument(info, 1, "gid", 0, UINT32_MAX - 1)),
	    static_cast<uint32_t>(NumberArgument(info, 2, "limit", 0, UINT32_MAX)),
	};
	return MountScope(info.Env(), scope);
}

Napi::Value LoopfsServer::MountHost(const Napi::CallbackInfo &info)
{
	return MountScope(info.Env(), {true, 0, 0, 0});
}

Napi::Value LoopfsServer::MountScope(Napi::Env env, const FuseScope &scope)
{
	uint32_t id = 0;
	UniqueFd mount;
	std::string step;
	int error = state_->bridge->Server().Mount(scope, id, mount, step);
	if (error)
		ThrowErrno(env, "mount", error, step);
	Napi::Object made = Napi::Object::New(env);
	made.Set("instance", Napi::Number::New(env, id));
	made.Set("device", Napi::Number::New(env, DeviceOf(mount.Get())));
	made.Set("mountFd", Napi::Number::New(env, mount.Release()));
	return made;
}

Napi::Value LoopfsServer::End(const Napi::CallbackInfo &info)
{
	auto id = static_cast<uint32_t>(NumberArgument(info, 0, "instance", 1, UINT32_MAX));
	return Napi::Boolean::New(info.Env(), state_->bridge->Server().End(id));
}

Napi::Value LoopfsServer::SetDevice(const Napi::CallbackInfo &info)
{
	auto id = static_cast<uint32_t>(NumberArgument(info, 0, "instance", 1, UINT32_MAX));
	auto number = static_cast<uint32_t>(NumberArgument(info, 1, "number", 0, kNumberMost));
	bool present = BooleanArgument(info, 2, "present");
	return Napi::Boolean::New(info.Env(),
				  state_->bridge->Server().SetDevice(id, number, present));
}

Napi::Value LoopfsServer::Respond(const Napi::CallbackInfo &info)
{
	auto id = static_cast<uint64_t>(NumberArgument(info, 0, "request", 1, kExact));
	int64_t result = NumberArgument(info, 1, "result", -4095, INT_MAX);
	state_->bridge->Server().Respond(id, result);
	return info.Env().Undefined();
}

Napi::Value LoopfsServer::OpenCaller(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	auto id = static_cast<uint64_t>(NumberArgument(info, 0, "request", 1, kExact));
	FuseServer &server = state_->bridge->Server();
	Caller caller;
	int error = OpenThread(server.PidOf(id), caller);
	// Still waiting, so its number was never free before.
	if (!error && !server.PidOf(id))
		error = ESRCH;
	if (error)
		ThrowErrno(env, "openCaller", error);
	Napi::Object opened = Napi::Object::New(env);
	opened.Set("processFd", Napi::Number::New(env, caller.process.Release()));
	opened.Set("usernsFd", Napi::Number::New(env, caller.userns.Release()));
	return opened;
}

Napi::Value LoopfsServer::Instances(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(),
				 static_cast<double>(state_->bridge->Server().CountInstances()));
}

} // namespace loopwarden
