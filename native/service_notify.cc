// SPDX-License-Identifier: Apache-2.0
#include "service_notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "unique_fd.h"

namespace loopwarden
{

// One datagram (sd_notify(3)), which Node cannot send to a Unix socket.
Napi::Value NotifyService(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	std::string address = PathArgument(info, 0, "address");
	std::string text = TextArgument(info, 1, "text");
	struct sockaddr_un to = {};
	to.sun_family = AF_UNIX;
	if (address.size() >= sizeof(to.sun_path))
		ThrowErrno(env, "notifyService", ENAMETOOLONG, address);
	memcpy(to.sun_path, address.data(), address.size());
	// An abstract name begins with a zero byte, and has no other at its end.
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0';
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + address.size();
	UniqueFd out(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	if (!out || sendto(out.Get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
			   reinterpret_cast<struct sockaddr *>(&to), size) < 0)
		ThrowErrno(env, "notifyService", errno, address);
	return env.Undefined();
}

} // namespace loopwarden
