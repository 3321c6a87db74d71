// SPDX-License-Identifier: Apache-2.0
#include "fuse_sysfs.h"

#include <dirent.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <memory>
#include <string_view>

#include "unique_fd.h"

namespace loopwarden
{

// Disks and partitions side by side, and no other driver's names begin so.
static constexpr char kClassBlock[] = "/sys/class/block";

static int OpenFolder(const char *path)
{
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool ReadDevno(FuseNode &node)
{
	// Not by the class, whose symlinks cost as much as the rest: loop disks have no parent.
	static const UniqueFd disks(OpenFolder("/sys/devices/virtual/block"));
	std::string path = node.Name() + "/dev";
	if (node.kind == FuseNode::kPartition)
		path = "loop" + std::to_string(node.number) + "/" + path;
	UniqueFd file(openat(disks.Get(), path.c_str(), O_RDONLY | O_CLOEXEC));
	char text[32];
	ssize_t length = file ? read(file.Get(), text, sizeof(text) - 1) : -1;
	if (length <= 0)
		return false;
	text[length] = '\0';
	unsigned int major, minor;
	if (sscanf(text, "%u:%u", &major, &minor) != 2)
		return false;
	node.devno = makedev(major, minor);
	return true;
}

bool IsDevnoCurrent(const FuseNode &node)
{
	// Symlinks named MAJOR:MINOR, which end in the name of the disk or partition.
	static const UniqueFd numbers(OpenFolder("/sys/dev/block"));
	char name[32], target[128];
	snprintf(name, sizeof(name), "%u:%u", major(node.devno), minor(node.devno));
	ssize_t length = readlinkat(numbers.Get(), name, target, sizeof(target));
	if (length <= 0)
		return false;
	std::string_view text(target, static_cast<size_t>(length));
	return text.substr(text.rfind('/') + 1) == node.Name();
}

std::vector<FuseNode> ListLoopNodes()
{
	std::vector<FuseNode> nodes;
	std::unique_ptr<DIR, int (*)(DIR *)> folder(opendir(kClassBlock), closedir);
	if (!folder)
		return nodes;
	while (const struct dirent *entry = readdir(folder.get())) {
		FuseNode node = FuseNode::OfName(entry->d_name);
		if (node.kind == FuseNode::kDisk || node.kind == FuseNode::kPartition)
			nodes.push_back(node);
	}
	return nodes;
}

} // namespace loopwarden
