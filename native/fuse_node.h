// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_FUSE_NODE_H
#define LOOPWARDEN_FUSE_NODE_H

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace loopwarden
{

// MINORBITS of the kernel: no loop device has a larger number.
constexpr uint32_t kNumberMost = (1u << 20) - 1;
// DISK_MAX_PARTS is 256.
constexpr uint32_t kPartitionMost = 255;

// One name of an instance. It says everything about itself in its FUSE node id, so that the server
// keeps no table of inodes: forgets have nothing to free, and an id never means another device.
struct FuseNode {
	enum Kind { kNone, kRoot, kControl, kDisk, kPartition } kind = kNone;
	uint32_t number = 0;
	uint32_t partition = 0;
	dev_t devno = 0;

	uint64_t Id() const;
	// What stat(2) and readdir(3) show: by the device's number alone, which is free for nothing
	// else when the node has gone, and for which the kernel need not be asked.
	uint64_t Inode() const;
	std::string Name() const;

	static FuseNode Root();
	static FuseNode Control();
	// kNone if it is no id of ours.
	static FuseNode OfId(uint64_t id);
	// Kind, number and partition of `loop7`, `loop7p1`, `loop-control`: as the kernel writes
	// them, no leading zeros; everything else is kNone. The devno is not known yet.
	static FuseNode OfName(const char *name);
};

} // namespace loopwarden

#endif
