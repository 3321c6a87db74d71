// SPDX-License-Identifier: Apache-2.0
#define FUSE_USE_VERSION 312
#include "fuse_operations.h"

#include <fuse3/fuse_lowlevel.h>
#include <linux/loop.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <vector>

#include "caller.h"
#include "fuse_instance.h"
#include "fuse_requests.h"
#include "image_protocol.h"

namespace loopwarden
{
namespace
{

// Nothing is ever written, but from this the kernel takes how long a page of a directory may be.
constexpr uint32_t kWriteBytesMost = 64 * 1024;
// How long the kernel may answer by itself. What never changes, the root and its control:
constexpr double kFixedSeconds = 1;
// and a device's attributes, so that stat(2) asks once and not twice. Its name is never valid.
constexpr double kDeviceSeconds = 0.001;
constexpr size_t kNameBytesMost = 32;
constexpr size_t kDirectoryBytesMost = 64 * 1024;
// Directory offsets: behind these come the devices, in the order of their numbers.
enum : off_t { kAtStart, kAfterDot, kAfterDotDot, kAfterControl };

FuseInstance &InstanceOf(fuse_req_t request)
{
	return *static_cast<FuseInstance *>(fuse_req_userdata(request));
}

// The host's is for its CAP_SYS_ADMIN only, however a descriptor of it or a root's id in a user
// namespace came to somebody else. A refused caller has been answered.
bool Admits(fuse_req_t request)
{
	if (!InstanceOf(request).scope.is_host || IsHostAdmin(fuse_req_ctx(request)->pid))
		return true;
	fuse_reply_err(request, EACCES);
	return false;
}

// Nothing may be thrown through libfuse's frames; a caller always gets an answer.
template <class Body> void Guard(fuse_req_t request, Body body) noexcept
{
	try {
		body();
	} catch (const std::exception &) {
		fuse_reply_err(request, ENOMEM);
	}
}

void Initialize(void *, struct fuse_conn_info *connection)
{
	// Splicing and big writes are for data, of which there is none here.
	connection->want = connection->capable & FUSE_CAP_PARALLEL_DIROPS;
	connection->max_write = kWriteBytesMost;
	connection->max_readahead = 0;
}

bool IsFixed(const FuseNode &node)
{
	return node.kind == FuseNode::kRoot || node.kind == FuseNode::kControl;
}

// The kernel rounds up to its clock's ticks. So a node goes with its device at once for who names it,
// and some ticks later for who has it open by O_PATH or bind-mounted.
double AttributeSeconds(const FuseInstance &instance, const FuseNode &node)
{
	// Each caller of the host's is asked for its capabilities.
	if (instance.scope.is_host)
		return 0;
	return IsFixed(node) ? kFixedSeconds : kDeviceSeconds;
}

void Lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	Guard(request, [&] {
		if (!Admits(request))
			return;
		FuseInstance &instance = InstanceOf(request);
		if (parent != FUSE_ROOT_ID) {
			fuse_reply_err(request, ENOTDIR);
			return;
		}
		FuseNode node = instance.Find(name);
		if (node.kind == FuseNode::kNone) {
			fuse_reply_err(request, ENOENT);
			return;
		}
		struct fuse_entry_param entry = {};
		entry.ino = node.Id();
		entry.attr_timeout = AttributeSeconds(instance, node);
		entry.entry_timeout = IsFixed(node) ? entry.attr_timeout : 0;
		instance.Fill(node, entry.attr);
		fuse_reply_entry(request, &entry);
	});
}

// Ids need no memory here; see FuseNode.
void Forget(fuse_req_t request, fuse_ino_t, uint64_t)
{
	fuse_reply_none(request);
}

void ForgetMany(fuse_req_t request, size_t, struct fuse_forget_data *)
{
	fuse_reply_none(request);
}

void Getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *)
{
	Guard(request, [&] {
		if (!Admits(request))
			return;
		FuseInstance &instance = InstanceOf(request);
		FuseNode node = FuseNode::OfId(ino);
		if (!instance.IsPresent(node)) {
			fuse_reply_err(request, ENOENT);
			return;
		}
		struct stat status;
		instance.Fill(node, status);
		fuse_reply_attr(request, &status, AttributeSeconds(instance, node));
	});
}

void Open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	// Block nodes are opened by the kernel itself.
	if (FuseNode::OfId(ino).kind != FuseNode::kControl) {
		fuse_reply_err(request, ENXIO);
		return;
	}
	file->direct_io = 1;
	file->nonseekable = 1;
	fuse_reply_open(request, file);
}

// As the kernel's loop-control, which has neither.
void Read(fuse_req_t request, fuse_ino_t, size_t, off_t, struct fuse_file_info *)
{
	fuse_reply_err(request, EINVAL);
}

void Write(fuse_req_t request, fuse_ino_t, const char *, size_t, off_t, struct fuse_file_info *)
{
	fuse_reply_err(request, EINVAL);
}

class DirectoryPage
{
      public:
	DirectoryPage(fuse_req_t request, size_t size)
	    : request_(request), buffer_(size < kDirectoryBytesMost ? size : kDirectoryBytesMost)
	{
	}

	// False when the page is full.
	bool Add(const char *name, mode_t type, ino_t inode, off_t after)
	{
		struct stat status = {};
		status.st_ino = inode;
		status.st_mode = type;
		size_t left = buffer_.size() - used_;
		size_t needs =
		    fuse_add_direntry(request_, buffer_.data() + used_, left, name, &status, after);
		if (needs > left)
			return false;
		used_ += needs;
		return true;
	}

	void Reply() const
	{
		fuse_reply_buf(request_, buffer_.data(), used_);
	}

      private:
	fuse_req_t request_;
	std::vector<char> buffer_;
	size_t used_ = 0;
};

off_t OffsetAfter(const FuseNode &node)
{
	return kAfterControl + 1 + (static_cast<off_t>(node.number) << 9 | node.partition);
}

bool AddFixed(DirectoryPage &page, off_t offset, bool is_host)
{
	const mode_t control_type = is_host ? S_IFCHR : S_IFREG;
	const uint64_t control = FuseNode::Control().Inode();
	return (offset >= kAfterDot || page.Add(".", S_IFDIR, FUSE_ROOT_ID, kAfterDot)) &&
	       (offset >= kAfterDotDot || page.Add("..", S_IFDIR, FUSE_ROOT_ID, kAfterDotDot)) &&
	       (offset >= kAfterControl ||
		page.Add(FuseNode::Control().Name().c_str(), control_type, control, kAfterControl));
}

// Without state: a page is made from what is there now, so that an open directory costs nothing and
// the offsets stay right whatever comes and goes. There is no readdirplus: its attributes, valid
// for no time, would be asked for again.
void Readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *)
{
	Guard(request, [&] {
		if (!Admits(request))
			return;
		if (ino != FUSE_ROOT_ID || offset < 0) {
			fuse_reply_err(request, ino != FUSE_ROOT_ID ? ENOTDIR : EINVAL);
			return;
		}
		DirectoryPage page(request, size);
		const FuseInstance &instance = InstanceOf(request);
		if (AddFixed(page, offset, instance.scope.is_host)) {
			for (const FuseNode &node : instance.List()) {
				if (OffsetAfter(node) <= offset)
					continue;
				if (!page.Add(node.Name().c_str(), S_IFBLK, node.Inode(),
					      OffsetAfter(node)))
					break;
			}
		}
		page.Reply();
	});
}

void Statfs(fuse_req_t request, fuse_ino_t)
{
	Guard(request, [&] {
		const FuseInstance &instance = InstanceOf(request);
		size_t devices = instance.CountDevices();
		struct statvfs status = {};
		status.f_bsize = 4096;
		status.f_frsize = 4096;
		status.f_files = instance.scope.is_host ? devices : instance.scope.limit;
		status.f_ffree = status.f_files - std::min<fsfilcnt_t>(status.f_files, devices);
		status.f_favail = status.f_ffree;
		status.f_namemax = kNameBytesMost;
		fuse_reply_statfs(request, &status);
	});
}

void Unlink(fuse_req_t request, fuse_ino_t, const char *name)
{
	Guard(request, [&] {
		FuseInstance &instance = InstanceOf(request);
		FuseNode node = instance.Find(name);
		// The host's devices are removed by the host's loop-control.
		if (node.kind == FuseNode::kDisk && !instance.scope.is_host)
			instance.requests.Submit(request, "unlink", node.number);
		else
			fuse_reply_err(request, node.kind == FuseNode::kNone ? ENOENT : EPERM);
	});
}

void Ioctl(fuse_req_t request, fuse_ino_t ino, unsigned int command, void *argument,
	   struct fuse_file_info *, unsigned, const void *, size_t, size_t)
{
	Guard(request, [&] {
		FuseRequests &requests = InstanceOf(request).requests;
		// The kernel's own take an int; a 32-bit caller's -1 arrives without its sign.
		int number = static_cast<int>(reinterpret_cast<intptr_t>(argument));
		bool is_control = FuseNode::OfId(ino).kind == FuseNode::kControl;
		if (is_control && command == LOOP_CTL_GET_FREE)
			requests.Submit(request, "get_free", 0);
		else if (is_control && command == LOOP_CTL_ADD)
			requests.Submit(request, "add", number);
		else if (is_control && command == LOOP_CTL_REMOVE)
			requests.Submit(request, "remove", number);
		else if (is_control && command == kRescan)
			requests.Submit(request, "rescan", number);
		else if (is_control && command == kAttach)
			requests.Submit(request, "attach", number);
		else
			// The driver's is ENOSYS, which FUSE turns into this one.
			fuse_reply_err(request, ENOTTY);
	});
}

// Nodes come by ioctl and go by unlink; whatever else would change the directory is refused.
template <class... Arguments> void Refuse(fuse_req_t request, Arguments...)
{
	fuse_reply_err(request, EPERM);
}

struct fuse_lowlevel_ops Operations()
{
	struct fuse_lowlevel_ops operations = {};
	operations.init = Initialize;
	operations.lookup = Lookup;
	operations.forget = Forget;
	operations.forget_multi = ForgetMany;
	operations.getattr = Getattr;
	operations.open = Open;
	operations.read = Read;
	operations.write = Write;
	operations.readdir = Readdir;
	operations.statfs = Statfs;
	operations.unlink = Unlink;
	operations.ioctl = Ioctl;
	operations.setattr = Refuse;
	operations.mknod = Refuse;
	operations.mkdir = Refuse;
	operations.rmdir = Refuse;
	operations.symlink = Refuse;
	operations.rename = Refuse;
	operations.link = Refuse;
	operations.create = Refuse;
	operations.setxattr = Refuse;
	operations.removexattr = Refuse;
	return operations;
}

} // namespace

const struct fuse_lowlevel_ops &FuseOperations()
{
	static const struct fuse_lowlevel_ops operations = Operations();
	return operations;
}

} // namespace loopwarden
