// SPDX-License-Identifier: Apache-2.0
#include "uevent_listener.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "arguments.h"
#include "errors.h"
#include "program.h"
#include "uevent_socket.h"

namespace loopwarden
{

constexpr char UeventListener::kName[];
const napi_type_tag UeventListener::kTag = {0x6c6f6f7077617264, 0x656e000000000009};

namespace
{

constexpr uint32_t kKernelGroup = 1;

} // namespace

void UeventListener::Register(Napi::Env env)
{
	Define(env, {
			Get<&UeventListener::Inode>("inode"),
			Get<&UeventListener::Cookie>("cookie"),
			Call<&UeventListener::Attach>("attach"),
			Call<&UeventListener::Send>("send"),
		    });
}

Napi::Value UeventListener::Open(const Napi::CallbackInfo &info)
{
	auto state = std::make_unique<ListenerState>();
	state->groups =
	    info[0].IsUndefined() ? kKernelGroup : NumberArgument(info, 0, "groups", 0, UINT32_MAX);
	state->socket.Reset(
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
	if (!state->socket)
		ThrowErrno(info.Env(), "openUeventListener", errno);
	return Make(info.Env(), std::move(state));
}

Napi::Value UeventListener::Inode(const Napi::CallbackInfo &info)
{
	uint64_t inode = 0;
	int error = SocketInode(state_->socket.Get(), inode);
	if (error)
		ThrowErrno(info.Env(), "inode", error);
	return Napi::BigInt::New(info.Env(), inode);
}

Napi::Value UeventListener::Cookie(const Napi::CallbackInfo &info)
{
	uint64_t cookie = 0;
	int error = SocketCookie(state_->socket.Get(), cookie);
	if (error)
		ThrowErrno(info.Env(), "cookie", error);
	return Napi::BigInt::New(info.Env(), cookie);
}

Napi::Value UeventListener::Attach(const Napi::CallbackInfo &info)
{
	ProgramState &program = Program::Argument(info, 0, "program");
	int error = AttachFilter(state_->socket.Get(), program.fd.Get());
	if (error)
		ThrowErrno(info.Env(), "attach", error, program.name);
	// Only now, so that no uevent is ever queued unfiltered.
	error = Bind(state_->groups);
	if (error)
		ThrowErrno(info.Env(), "attach", error, "bind");
	return info.Env().Undefined();
}

int UeventListener::Bind(uint32_t groups)
{
	struct sockaddr_nl address = {};
	socklen_t size = sizeof(address);
	// Bound again, it must keep its portid.
	if (getsockname(state_->socket.Get(), reinterpret_cast<struct sockaddr *>(&address), &size))
		return errno;
	address.nl_groups = groups;
	if (bind(state_->socket.Get(), reinterpret_cast<struct sockaddr *>(&address), size))
		return errno;
	state_->bound = true;
	return 0;
}

Napi::Value UeventListener::Send(const Napi::CallbackInfo &info)
{
	std::string text = TextArgument(info, 0, "text");
	// Without a filter it must not hear the kernel's.
	int error = state_->bound ? 0 : Bind(0);
	if (error)
		ThrowErrno(info.Env(), "send", error, "bind");
	struct sockaddr_nl to = {};
	socklen_t size = sizeof(to);
	int own = state_->socket.Get();
	UniqueFd sender(
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
	if (!sender || getsockname(own, reinterpret_cast<struct sockaddr *>(&to), &size))
		ThrowErrno(info.Env(), "send", errno);
	to.nl_groups = 0;
	// Hidden from us, it counts as refused.
	if (sendto(sender.Get(), text.c_str(), text.size() + 1, 0,
		   reinterpret_cast<struct sockaddr *>(&to), sizeof(to)) < 0 &&
	    errno != EPERM && errno != ECONNREFUSED)
		ThrowErrno(info.Env(), "send", errno);
	// A queue that overflowed says so once, amid what it holds.
	char byte;
	while (recv(own, &byte, sizeof(byte), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		continue;
	return info.Env().Undefined();
}

} // namespace loopwarden
