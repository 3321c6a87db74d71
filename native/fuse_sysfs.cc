// SPDX-License-Identifier: Apache-2.0
#include "fuse_sysfs.h"

#include <dirent.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <memory>

#include "unique_fd.h"

namespace loopwarden
{

// Disks and partitions side by side, and no other driver's names begin so.
static constexpr char kClassBlock[] = "/sys/class/block";

bool ReadDevno(FuseNode &node)
{
	std::string path = std::string(kClassBlock) + "/" + node.Name() + "/dev";
	UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
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
