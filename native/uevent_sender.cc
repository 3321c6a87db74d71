// SPDX-License-Identifier: Apache-2.0
#include "uevent_sender.h"

#include <limits.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "initial_userns.h"
#include "process_namespace.h"
#include "thread_task.h"

namespace loopwarden
{

constexpr char UeventSender::kName[];
const napi_type_tag UeventSender::kTag = {0x6c6f6f7077617264, 0x656e00000000000c};

namespace
{

// UEVENT_BUFFER_SIZE: the kernel takes none that is longer.
constexpr size_t kMaxBytes = 2048;

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
	auto uid = static_cast<uid_t>(NumberArgument(info, 2, "uid", 0, UINT32_MAX - 1LL));
	auto gid = static_cast<gid_t>(NumberArgument(info, 3, "gid", 0, UINT32_MAX - 1LL));
	auto network = std::make_shared<UniqueFd>();
	int error = OpenProcessNamespace(pid, start, "net", *network);
	if (error)
		ThrowErrno(env, "openUeventSender", error, "pid " + std::to_string(pid));
	UniqueFd userns(ioctl(network->Get(), NS_GET_USERNS));
	struct stat owner;
	if (!userns || fstat(userns.Get(), &owner))
		ThrowErrno(env, "openUeventSender", errno);
	if (owner.st_ino == kInitialInum)
		ThrowReason(env, "openUeventSender", EXDEV, "pid " + std::to_string(pid),
			    "its network namespace is the host's, and hears the kernel already");
	return RunInThread(env, "openUeventSender", [network, uid, gid]() -> Finish {
		if (setns(network->Get(), CLONE_NEWNET))
			throw Failure{errno, "setns", ""};
		auto made = std::make_shared<SenderState>();
		made->uid = uid;
		made->gid = gid;
		made->socket.Reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
					  NETLINK_KOBJECT_UEVENT));
		if (!made->socket)
			throw Failure{errno, "socket", ""};
		return [made](Napi::Env end) -> Napi::Value {
			return Make(end, std::make_unique<SenderState>(std::move(*made)));
		};
	});
}

// Not broadcast by us, since udev ignores what does not come from the kernel: the kernel is asked to
// (uevent_net_rcv, since 4.18, for whoever may administer the network namespace). It ends the text with
// a SEQNUM of its own and acts before sendto() returns.
Napi::Value UeventSender::Send(const Napi::CallbackInfo &info)
{
	Bytes text = BytesArgument(info, 0, "text");
	if (text.size == 0 || text.size > kMaxBytes || text.data[text.size - 1] != 0)
		ThrowRange(info.Env(), "text must be from 1 to " + std::to_string(kMaxBytes) +
					   " bytes and end with NUL");
	struct nlmsghdr header = {};
	header.nlmsg_len = NLMSG_LENGTH(text.size);
	header.nlmsg_type = NLMSG_MIN_TYPE;
	header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	std::string message(reinterpret_cast<const char *>(&header), sizeof(header));
	message.append(reinterpret_cast<const char *>(text.data), text.size);
	struct sockaddr_nl kernel = {};
	kernel.nl_family = AF_NETLINK;
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer = {};
	// udev trusts root only, and that is the container's where it is read.
	struct ucred sender = {getpid(), state_->uid, state_->gid};
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(sender))] = {};
	struct iovec part = {message.data(), message.size()};
	struct msghdr whole = {};
	whole.msg_name = &kernel;
	whole.msg_namelen = sizeof(kernel);
	whole.msg_iov = &part;
	whole.msg_iovlen = 1;
	whole.msg_control = control;
	whole.msg_controllen = sizeof(control);
	struct cmsghdr *credentials = CMSG_FIRSTHDR(&whole);
	credentials->cmsg_level = SOL_SOCKET;
	credentials->cmsg_type = SCM_CREDENTIALS;
	credentials->cmsg_len = CMSG_LEN(sizeof(sender));
	memcpy(CMSG_DATA(credentials), &sender, sizeof(sender));
	int socket = state_->socket.Get();
	if (sendmsg(socket, &whole, 0) < 0 ||
	    recv(socket, &answer, sizeof(answer), MSG_DONTWAIT | MSG_TRUNC) < 0)
		ThrowErrno(info.Env(), "send", errno);
	if (answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error)
		ThrowErrno(info.Env(), "send", -answer.error.error);
	return info.Env().Undefined();
}

} // namespace loopwarden
