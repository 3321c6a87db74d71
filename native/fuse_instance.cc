// SPDX-License-Identifier: Apache-2.0
#define FUSE_USE_VERSION 312
#include "fuse_instance.h"

#include <fuse3/fuse_lowlevel.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <mutex>

#include "fuse_sysfs.h"

namespace loopwarden
{

// linux/miscdevice.h
constexpr unsigned kMiscMajor = 10;
constexpr unsigned kLoopControlMinor = 237;

FuseInstance::FuseInstance(uint32_t new_id, const FuseScope &whose, FuseRequests &table)
    : id(new_id), scope(whose), requests(table), created_(time(nullptr))
{
}

FuseInstance::~FuseInstance()
{
	if (session)
		fuse_session_destroy(session);
}

bool FuseInstance::Holds(uint32_t number) const
{
	std::shared_lock<std::shared_mutex> lock(mutex_);
	return HasLocked(number);
}

bool FuseInstance::HasLocked(uint32_t number) const
{
	return (told_.count(number) > 0) != scope.is_host;
}

FuseNode FuseInstance::Find(const char *name) const
{
	FuseNode node = FuseNode::OfName(name);
	if (node.kind != FuseNode::kDisk && node.kind != FuseNode::kPartition)
		return node;
	// The kernel is asked only about what is this instance's: a flood of names costs no more
	// than this.
	return Holds(node.number) && ReadDevno(node) ? node : FuseNode();
}

bool FuseInstance::IsPresent(const FuseNode &node) const
{
	if (node.kind == FuseNode::kRoot || node.kind == FuseNode::kControl)
		return true;
	if (node.kind == FuseNode::kNone)
		return false;
	return Holds(node.number) && IsDevnoCurrent(node);
}

void FuseInstance::Fill(const FuseNode &node, struct stat &status) const
{
	status = {};
	status.st_ino = node.Inode();
	status.st_uid = scope.uid;
	status.st_gid = scope.gid;
	status.st_nlink = 1;
	status.st_blksize = 4096;
	status.st_atime = status.st_mtime = status.st_ctime = created_;
	if (node.kind == FuseNode::kRoot) {
		status.st_mode = S_IFDIR | (scope.is_host ? 0700 : 0755);
		status.st_nlink = 2;
	} else if (node.kind == FuseNode::kControl && scope.is_host) {
		status.st_mode = S_IFCHR | 0600;
		status.st_rdev = makedev(kMiscMajor, kLoopControlMinor);
	} else if (node.kind == FuseNode::kControl) {
		// A character device would take the ioctls to the host's driver.
		status.st_mode = S_IFREG | 0600;
	} else {
		status.st_mode = S_IFBLK | (scope.is_host ? 0600 : 0660);
		status.st_rdev = node.devno;
	}
}

std::vector<FuseNode> FuseInstance::List() const
{
	// One pass over sysfs finds disks and partitions alike, whatever their number is.
	std::vector<FuseNode> nodes = ListLoopNodes();
	{
		std::shared_lock<std::shared_mutex> lock(mutex_);
		auto is_foreign = [this](const FuseNode &node) { return !HasLocked(node.number); };
		nodes.erase(std::remove_if(nodes.begin(), nodes.end(), is_foreign), nodes.end());
	}
	std::sort(nodes.begin(), nodes.end(), [](const FuseNode &a, const FuseNode &b) {
		return a.number != b.number ? a.number < b.number : a.partition < b.partition;
	});
	return nodes;
}

size_t FuseInstance::CountDevices() const
{
	if (scope.is_host)
		return List().size();
	std::shared_lock<std::shared_mutex> lock(mutex_);
	return told_.size();
}

void FuseInstance::SetDevice(uint32_t number, bool present)
{
	std::unique_lock<std::shared_mutex> lock(mutex_);
	if (present != scope.is_host)
		told_.insert(number);
	else
		told_.erase(number);
}

} // namespace loopwarden
