// SPDX-License-Identifier: Apache-2.0
#include "receiver_socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <climits>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "privileged_thread.h"
#include "program.h"
#include "uevent_socket.h"

namespace loopwarden
{

constexpr char ReceiverSocket::kName[];
const napi_type_tag ReceiverSocket::kTag = {0x6c6f6f7077617264, 0x656e000000000008};

namespace
{

struct sockaddr_nl Address(Napi::Env env, const char *operation, int socket)
{
	struct sockaddr_nl address = {};
	socklen_t size = sizeof(address);
	if (getsockname(socket, reinterpret_cast<struct sockaddr *>(&address), &size))
		ThrowErrno(env, operation, errno);
	return address;
}

const char *FilterName(FilterKind kind)
{
	switch (kind) {
	case FilterKind::kClassic:
		return "classic";
	case FilterKind::kEbpf:
		return "ebpf";
	default:
		return "none";
	}
}

} // namespace

void ReceiverSocket::Register(Napi::Env env)
{
	Define(env, {
			Get<&ReceiverSocket::Inode>("inode"),
			Get<&ReceiverSocket::Cookie>("cookie"),
			Get<&ReceiverSocket::Portid>("portid"),
			Get<&ReceiverSocket::Groups>("groups"),
			Get<&ReceiverSocket::Filter>("filter"),
			Call<&ReceiverSocket::Attach>("attach"),
			Call<&ReceiverSocket::Detach>("detach"),
		    });
}

Napi::Value ReceiverSocket::Open(const Napi::CallbackInfo &info)
{
	int pid = NumberArgument(info, 0, "pid", 1, INT_MAX);
	int fd = NumberArgument(info, 1, "fd", 0, INT_MAX);
	auto state = std::make_unique<ReceiverState>();
	int error = 0;
	RunPrivileged([&] { error = TakeUeventSocket(pid, fd, state->socket); });
	if (error)
		ThrowErrno(info.Env(), "openReceiver", error,
			   "pid " + std::to_string(pid) + " fd " + std::to_string(fd));
	return Make(info.Env(), std::move(state));
}

Napi::Value ReceiverSocket::Inode(const Napi::CallbackInfo &info)
{
	uint64_t inode = 0;
	int error = SocketInode(state_->socket.Get(), inode);
	if (error)
		ThrowErrno(info.Env(), "inode", error);
	return Napi::BigInt::New(info.Env(), inode);
}

Napi::Value ReceiverSocket::Cookie(const Napi::CallbackInfo &info)
{
	uint64_t cookie = 0;
	int error = SocketCookie(state_->socket.Get(), cookie);
	if (error)
		ThrowErrno(info.Env(), "cookie", error);
	return Napi::BigInt::New(info.Env(), cookie);
}

Napi::Value ReceiverSocket::Portid(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(),
				 Address(info.Env(), "portid", state_->socket.Get()).nl_pid);
}

Napi::Value ReceiverSocket::Groups(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(),
				 Address(info.Env(), "groups", state_->socket.Get()).nl_groups);
}

Napi::Value ReceiverSocket::Filter(const Napi::CallbackInfo &info)
{
	FilterKind kind = FilterKind::kNone;
	int error = ProbeFilter(state_->socket.Get(), kind);
	if (error)
		ThrowErrno(info.Env(), "filter", error);
	return Napi::String::New(info.Env(), FilterName(kind));
}

Napi::Value ReceiverSocket::Attach(const Napi::CallbackInfo &info)
{
	ProgramState &program = Program::Argument(info, 0, "program");
	int error = AttachFilter(state_->socket.Get(), program.fd.Get());
	if (error)
		ThrowErrno(info.Env(), "attach", error, program.name);
	return info.Env().Undefined();
}

Napi::Value ReceiverSocket::Detach(const Napi::CallbackInfo &info)
{
	int error = DetachFilter(state_->socket.Get());
	if (error && error != ENOENT)
		ThrowErrno(info.Env(), "detach", error);
	return Napi::Boolean::New(info.Env(), error == 0);
}

} // namespace loopwarden
