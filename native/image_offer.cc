// SPDX-License-Identifier: Apache-2.0
#include "image_offer.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include "arguments.h"
#include "descriptor_message.h"
#include "device_node.h"
#include "errors.h"
#include "image_protocol.h"
#include "thread_task.h"
#include "unique_fd.h"

namespace loopwarden
{
namespace
{

struct Offer {
	UniqueFd channel;
	UniqueFd image;
	ImageRequest request = {};
};

using Kept = std::shared_ptr<Offer>;

[[noreturn]] void Refuse(int error, const char *what)
{
	throw Failure{error, what, ""};
}

int OptionOf(int socket, int option)
{
	int value = 0;
	socklen_t size = sizeof(value);
	if (getsockopt(socket, SOL_SOCKET, option, &value, &size))
		Refuse(errno, "the socket");
	return value;
}

// Whatever was sent is closed, unless it is the one packet with the one descriptor.
void Receive(Offer &offer)
{
	constexpr size_t kFdsMost = 8;
	alignas(struct cmsghdr) char control[CMSG_SPACE(kFdsMost * sizeof(int))];
	struct iovec part = {&offer.request, sizeof(offer.request)};
	struct msghdr message = {};
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = control;
	message.msg_controllen = sizeof(control);
	ssize_t size = recvmsg(offer.channel.Get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (size < 0)
		Refuse(errno == EAGAIN ? ENODATA : errno, "the request");
	UniqueFd received[kFdsMost];
	size_t count = 0;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part;
	     part = CMSG_NXTHDR(&message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		size_t length = part->cmsg_len - CMSG_LEN(0);
		for (size_t at = 0; at + sizeof(int) <= length && count < kFdsMost;
		     at += sizeof(int)) {
			int fd;
			memcpy(&fd, CMSG_DATA(part) + at, sizeof(fd));
			received[count++].Reset(fd);
		}
	}
	if (size != sizeof(offer.request) || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    count != 1)
		Refuse(EINVAL, "the request");
	offer.image = std::move(received[0]);
}

void Check(const Offer &offer, dev_t instance)
{
	if (offer.request.flags & ~kImageFlags)
		Refuse(EINVAL, "its flags");
	int flags = fcntl(offer.image.Get(), F_GETFL);
	if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
		Refuse(EBADF, "the image");
	// Without asking the file system's server. A FUSE mount of the container's own tells the host's
	// root no more than its device; whatever is open there is a file or a folder, and folders
	// the driver refuses.
	int image = offer.image.Get();
	constexpr int kHow = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
	struct statx status = {};
	bool is_typed = !statx(image, "", kHow, STATX_TYPE, &status);
	if (!is_typed && (errno != EACCES || statx(image, "", kHow, 0, &status)))
		Refuse(errno, "the image");
	if (is_typed && !S_ISREG(status.stx_mode))
		Refuse(EINVAL, "the image");
	// A device that lies on what it serves would wait for itself.
	if (makedev(status.stx_dev_major, status.stx_dev_minor) == instance)
		Refuse(EINVAL, "the image");
}

Kept Take(int process, int fd, dev_t instance)
{
	auto offer = std::make_shared<Offer>();
	offer->channel = UniqueFd(static_cast<int>(syscall(SYS_pidfd_getfd, process, fd, 0)));
	if (!offer->channel)
		Refuse(errno, "the socket");
	if (OptionOf(offer->channel.Get(), SO_DOMAIN) != AF_UNIX ||
	    OptionOf(offer->channel.Get(), SO_TYPE) != SOCK_SEQPACKET)
		Refuse(EPROTOTYPE, "the socket");
	Receive(*offer);
	Check(*offer, instance);
	return offer;
}

bool IsOwnUserns(int userns)
{
	struct stat own, theirs;
	return !stat("/proc/self/ns/user", &own) && !fstat(userns, &theirs) &&
	       own.st_ino == theirs.st_ino && own.st_dev == theirs.st_dev;
}

// In a process that has this thread alone and whose memory is a copy: system calls and nothing else.
// Descriptors that it kept open would keep a file system of ours from ending.
[[noreturn]] void ConfigureAndExit(int device, int image, int userns, struct loop_config &config)
{
	constexpr int kDevice = 0, kImage = 1, kUserns = 2, kFree = 16;
	int moved[] = {fcntl(device, F_DUPFD, kFree), fcntl(image, F_DUPFD, kFree),
		       userns < 0 ? userns : fcntl(userns, F_DUPFD, kFree)};
	dup2(moved[0], kDevice);
	dup2(moved[1], kImage);
	dup2(moved[2], kUserns);
	config.fd = kImage;
	// In its user namespace the container's root might trace us and read our memory, where
	// it sees our pid.
	prctl(PR_SET_DUMPABLE, 0);
	if (syscall(SYS_close_range, kUserns + 1, ~0u, 0) ||
	    (userns >= 0 && setns(kUserns, CLONE_NEWUSER)) ||
	    ioctl(kDevice, LOOP_CONFIGURE, &config))
		_exit(errno);
	_exit(0);
}

// Who sets a device up is its holder: a process of the container's user namespace, which a thread
// of ours can't become. 0 or an errno.
int ConfigureAs(int userns, int device, const Offer &offer)
{
	struct loop_config config = {};
	config.block_size = offer.request.block_size;
	config.info.lo_offset = offer.request.offset;
	config.info.lo_sizelimit = offer.request.size_limit;
	config.info.lo_flags = offer.request.flags | LO_FLAGS_AUTOCLEAR;
	if (IsOwnUserns(userns))
		userns = -1;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	// Not fork(3), which runs what libraries have registered; and no SIGCHLD for Node.
	auto child = static_cast<pid_t>(syscall(SYS_clone, 0, nullptr, nullptr, nullptr, nullptr));
	if (child == 0)
		ConfigureAndExit(device, offer.image.Get(), userns, config);
	int error = child < 0 ? errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	if (error)
		return error;
	int status;
	while (waitpid(child, &status, __WALL) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

void Attach(const Offer &offer, int userns, uint32_t number, dev_t devno)
{
	bool reads_only = offer.request.flags & LO_FLAGS_READ_ONLY;
	UniqueFd device = OpenDevice(devno, reads_only ? O_RDONLY : O_RDWR);
	if (!device)
		Refuse(errno, "the device");
	int error = ConfigureAs(userns, device.Get(), offer);
	// A socket that is full or closed is its owner's loss: the device clears itself.
	const ImageReply reply = {number};
	if (!error)
		error = SendDescriptor(offer.channel.Get(), &reply, sizeof(reply), device.Get(),
				       MSG_DONTWAIT);
	if (error)
		Refuse(error, "the device");
}

Kept OfferArgument(const Napi::CallbackInfo &info)
{
	if (!info[0].IsExternal())
		ThrowType(info.Env(), "image must be what takeImage has made");
	Kept *kept = info[0].As<Napi::External<Kept>>().Data();
	if (!*kept)
		ThrowType(info.Env(), "image was used before");
	return std::move(*kept);
}

Finish Nothing()
{
	return [](Napi::Env env) -> Napi::Value { return env.Undefined(); };
}

std::shared_ptr<UniqueFd> Duplicate(const Napi::CallbackInfo &info, size_t index, const char *name)
{
	int fd = static_cast<int>(NumberArgument(info, index, name, 0, INT_MAX));
	auto own = std::make_shared<UniqueFd>(UniqueFd::DuplicateOf(fd));
	if (!*own)
		ThrowErrno(info.Env(), name, errno);
	return own;
}

} // namespace

Napi::Value TakeImage(const Napi::CallbackInfo &info)
{
	auto process = Duplicate(info, 0, "processFd");
	int fd = static_cast<int>(NumberArgument(info, 1, "fd", INT_MIN, INT_MAX));
	auto instance = static_cast<dev_t>(NumberArgument(info, 2, "instanceDevice", 0, 1ll << 53));
	return RunInThread(info.Env(), "takeImage", [process, fd, instance]() -> Finish {
		Kept offer = Take(process->Get(), fd, instance);
		return [offer](Napi::Env env) -> Napi::Value {
			return Napi::External<Kept>::New(
			    env, new Kept(offer), [](Napi::Env, Kept *kept) { delete kept; });
		};
	});
}

Napi::Value AttachImage(const Napi::CallbackInfo &info)
{
	auto userns = Duplicate(info, 1, "usernsFd");
	auto number = static_cast<uint32_t>(NumberArgument(info, 2, "number", 0, UINT32_MAX));
	auto major_number = static_cast<unsigned>(NumberArgument(info, 3, "major", 0, 0xfff));
	auto minor_number = static_cast<unsigned>(NumberArgument(info, 4, "minor", 0, 0xfffff));
	dev_t devno = makedev(major_number, minor_number);
	auto offer = std::make_shared<Kept>(OfferArgument(info));
	return RunInThread(info.Env(), "attachImage", [offer, userns, number, devno]() -> Finish {
		Kept own = std::move(*offer);
		Attach(*own, userns->Get(), number, devno);
		return Nothing();
	});
}

Napi::Value DropImage(const Napi::CallbackInfo &info)
{
	auto offer = std::make_shared<Kept>(OfferArgument(info));
	return RunInThread(info.Env(), "dropImage", [offer]() -> Finish {
		offer->reset();
		return Nothing();
	});
}

} // namespace loopwarden
