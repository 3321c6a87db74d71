// SPDX-License-Identifier: Apache-2.0
#include "descriptor_message.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace loopwarden
{

int SendDescriptor(int channel, const void *packet, size_t size, int descriptor, int flags)
{
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec part = {const_cast<void *>(packet), size};
	struct msghdr message = {};
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = control;
	message.msg_controllen = sizeof(control);
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(rights), &descriptor, sizeof(descriptor));
	return sendmsg(channel, &message, flags | MSG_NOSIGNAL) < 0 ? errno : 0;
}

} // namespace loopwarden
