// SPDX-License-Identifier: Apache-2.0
#include "fuse_node.h"

#include <sys/sysmacros.h>

#include <cstring>

namespace loopwarden
{
namespace
{

constexpr uint64_t kRootId = 1;
constexpr uint64_t kControlId = 2;
constexpr uint64_t kDeviceBit = 1ull << 62;
constexpr int kNumberShift = 41;
constexpr int kPartitionShift = 32;
// Beyond those of root and control; all fit into the 32 bits of an old stat(2).
constexpr uint64_t kDeviceInodes = 1ull << 28;
constexpr int kInodeShift = 8;
constexpr char kControlName[] = "loop-control";

// Reads digits up to `most`; null unless there is one and none leads with zero before others.
const char *ParseNumber(const char *text, uint32_t most, uint32_t &number)
{
	const char *at = text;
	uint32_t value = 0;
	while (*at >= '0' && *at <= '9') {
		value = value * 10 + static_cast<uint32_t>(*at - '0');
		if (value > most)
			return nullptr;
		at++;
	}
	if (at == text || (*text == '0' && at - text > 1))
		return nullptr;
	number = value;
	return at;
}

} // namespace

FuseNode FuseNode::Root()
{
	FuseNode node;
	node.kind = kRoot;
	return node;
}

FuseNode FuseNode::Control()
{
	FuseNode node;
	node.kind = kControl;
	return node;
}

FuseNode FuseNode::OfId(uint64_t id)
{
	if (id == kRootId)
		return Root();
	if (id == kControlId)
		return Control();
	FuseNode node;
	if (!(id & kDeviceBit))
		return node;
	node.number = (id >> kNumberShift) & kNumberMost;
	node.partition = (id >> kPartitionShift) & 0x1ff;
	node.devno = makedev((id >> 20) & 0xfff, id & 0xfffff);
	node.kind = node.partition ? kPartition : kDisk;
	return node;
}

FuseNode FuseNode::OfName(const char *name)
{
	if (!strcmp(name, kControlName))
		return Control();
	FuseNode node;
	if (strncmp(name, "loop", 4))
		return node;
	const char *rest = ParseNumber(name + 4, kNumberMost, node.number);
	if (!rest)
		return node;
	if (!*rest) {
		node.kind = kDisk;
		return node;
	}
	if (*rest != 'p')
		return node;
	rest = ParseNumber(rest + 1, kPartitionMost, node.partition);
	if (rest && !*rest && node.partition)
		node.kind = kPartition;
	return node;
}

uint64_t FuseNode::Id() const
{
	if (kind == kRoot)
		return kRootId;
	if (kind == kControl)
		return kControlId;
	return kDeviceBit | static_cast<uint64_t>(number) << kNumberShift |
	       static_cast<uint64_t>(partition) << kPartitionShift |
	       static_cast<uint64_t>(major(devno) & 0xfff) << 20 | (minor(devno) & 0xfffff);
}

uint64_t FuseNode::Inode() const
{
	if (kind == kRoot || kind == kControl)
		return Id();
	return kDeviceInodes | static_cast<uint64_t>(number) << kInodeShift | partition;
}

std::string FuseNode::Name() const
{
	if (kind == kControl)
		return kControlName;
	std::string name = "loop" + std::to_string(number);
	if (kind == kPartition)
		name += "p" + std::to_string(partition);
	return name;
}

} // namespace loopwarden
