// SPDX-License-Identifier: Apache-2.0
#include "image_client.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "arguments.h"
#include "descriptor_message.h"
#include "errors.h"
#include "image_protocol.h"
#include "unique_fd.h"

namespace loopwarden
{
namespace
{

int Receive(int channel, UniqueFd &device)
{
	ImageReply reply;
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {&reply, sizeof(reply)};
	struct msghdr message = {};
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = control;
	message.msg_controllen = sizeof(control);
	if (recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(reply))
		return EPROTO;
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	if (!rights || rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len != CMSG_LEN(sizeof(int)))
		return EPROTO;
	int fd;
	memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
	device.Reset(fd);
	return 0;
}

} // namespace

Napi::Value OfferImage(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	constexpr int64_t kExact = 1ll << 53;
	std::string control_path = PathArgument(info, 0, "controlPath");
	std::string image_path = PathArgument(info, 1, "imagePath");
	ImageRequest request = {};
	request.flags = static_cast<uint32_t>(NumberArgument(info, 2, "flags", 0, UINT32_MAX));
	request.block_size =
	    static_cast<uint32_t>(NumberArgument(info, 3, "blockSize", 0, UINT32_MAX));
	request.offset = static_cast<uint64_t>(NumberArgument(info, 4, "offset", 0, kExact));
	request.size_limit = static_cast<uint64_t>(NumberArgument(info, 5, "sizeLimit", 0, kExact));
	UniqueFd control(open(control_path.c_str(), O_RDWR | O_CLOEXEC));
	if (!control)
		ThrowErrno(env, "open", errno, control_path);
	int mode = request.flags & LO_FLAGS_READ_ONLY ? O_RDONLY : O_RDWR;
	// A FIFO is not waited for.
	UniqueFd image(open(image_path.c_str(), mode | O_CLOEXEC | O_NONBLOCK));
	if (!image)
		ThrowErrno(env, "open", errno, image_path);
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		ThrowErrno(env, "socketpair", errno);
	UniqueFd ours(pair[0]), theirs(pair[1]);
	int error = SendDescriptor(ours.Get(), &request, sizeof(request), image.Get(), 0);
	int number = error ? -1 : ioctl(control.Get(), kAttach, theirs.Get());
	if (!error && number < 0)
		error = errno;
	UniqueFd device;
	if (!error)
		error = Receive(ours.Get(), device);
	if (error)
		ThrowErrno(env, "attach", error, image_path);
	Napi::Object made = Napi::Object::New(env);
	made.Set("number", Napi::Number::New(env, number));
	made.Set("fd", Napi::Number::New(env, device.Release()));
	return made;
}

} // namespace loopwarden
