// SPDX-License-Identifier: Apache-2.0
#include "uevent_sender.h"

#include <limits.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "process_namespace.h"
#include "thread_task.h"

namespace loopwarden
{

constexpr char UeventSender::kName[];
const napi_type_tag UeventSender::kTag = {0x6c6f6f7077617264, 0x656e00000000000c};

namespace
{

constexpr uint32_t kKernelGroup = 1;
// UEVENT_BUFFER_SIZE: the kernel makes none that is longer, so no receiver expects one.
constexpr size_t kMaxBytes = 2048 + 512;

} // namespace

void UeventSender::Register(Napi::Env env)
{
	Define(env, {Call<&UeventSender::Send>("send")});
}

// A socket stays in the namespace in which it was made, so only its making needs a thread.
Napi::Value UeventSender::Open(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	int pid = NumberArgument(info, 0, "pid", 1, INT_MAX);
	auto start = static_cast<uint64_t>(NumberArgument(info, 1, "startTicks", 0, 1LL << 53));
	auto network = std::make_shared<UniqueFd>();
	int error = OpenProcessNamespace(pid, start, "net", *network);
	if (error)
		ThrowErrno(env, "openUeventSender", error, "pid " + std::to_string(pid));
	struct stat own;
	struct stat theirs;
	if (stat("/proc/self/ns/net", &own) || fstat(network->Get(), &theirs))
		ThrowErrno(env, "openUeventSender", errno);
	// The kernel sends them there already.
	if (own.st_ino == theirs.st_ino)
		ThrowReason(env, "openUeventSender", EXDEV, "pid " + std::to_string(pid),
			    "it has the host's own network namespace");
	return RunInThread(env, "openUeventSender", [network]() -> Finish {
		if (setns(network->Get(), CLONE_NEWNET))
			throw Failure{errno, "setns", ""};
		auto made = std::make_shared<SenderState>();
		made->socket.Reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
					  NETLINK_KOBJECT_UEVENT));
		if (!made->socket)
			throw Failure{errno, "socket", ""};
		return [made](Napi::Env end) -> Napi::Value {
			return Make(end, std::make_unique<SenderState>(std::move(*made)));
		};
	});
}

Napi::Value UeventSender::Send(const Napi::CallbackInfo &info)
{
	Bytes text = BytesArgument(info, 0, "text");
	if (text.size == 0 || text.size > kMaxBytes)
		ThrowRange(info.Env(), "text must be from 1 to " + std::to_string(kMaxBytes) +
					   " bytes, not " + std::to_string(text.size));
	struct sockaddr_nl to = {};
	to.nl_family = AF_NETLINK;
	to.nl_groups = kKernelGroup;
	// ECONNREFUSED, ESRCH: nobody listens. ENOBUFS: a listener's queue is full, and the kernel has
	// told it so, as it does for its own.
	if (sendto(state_->socket.Get(), text.data, text.size, 0,
		   reinterpret_cast<struct sockaddr *>(&to), sizeof(to)) >= 0)
		return Napi::Boolean::New(info.Env(), true);
	if (errno != ECONNREFUSED && errno != ESRCH && errno != ENOBUFS)
		ThrowErrno(info.Env(), "send", errno);
	return Napi::Boolean::New(info.Env(), false);
}

} // namespace loopwarden
