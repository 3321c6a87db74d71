// SPDX-License-Identifier: Apache-2.0
#include "datagram_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "arguments.h"
#include "errors.h"

namespace loopwarden
{

constexpr char DatagramSocket::kName[];
const napi_type_tag DatagramSocket::kTag = {0x6c6f6f7077617264, 0x656e00000000000e};

void DatagramSocket::Register(Napi::Env env)
{
	Define(env, {Call<&DatagramSocket::Send>("send")});
}

Napi::Value DatagramSocket::Open(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	std::string path = PathArgument(info, 0, "path");
	auto state = std::make_unique<DatagramState>();
	if (path.size() >= sizeof(state->receiver.sun_path))
		ThrowErrno(env, "openDatagramSocket", ENAMETOOLONG, path);
	state->receiver.sun_family = AF_UNIX;
	memcpy(state->receiver.sun_path, path.c_str(), path.size() + 1);
	state->socket.Reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (!state->socket)
		ThrowErrno(env, "openDatagramSocket", errno, path);
	return Make(env, std::move(state));
}

// Not connected: a receiver that starts anew has a new socket at the same path, and is found there.
Napi::Value DatagramSocket::Send(const Napi::CallbackInfo &info)
{
	Bytes message = BytesArgument(info, 0, "message");
	auto *receiver = reinterpret_cast<struct sockaddr *>(&state_->receiver);
	ssize_t sent = sendto(state_->socket.Get(), message.data, message.size,
			      MSG_DONTWAIT | MSG_NOSIGNAL, receiver, sizeof(state_->receiver));
	return Napi::Number::New(info.Env(), sent < 0 ? errno : 0);
}

} // namespace loopwarden
