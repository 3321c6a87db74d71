// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_IMAGE_PROTOCOL_H
#define LOOPWARDEN_IMAGE_PROTOCOL_H

#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace loopwarden
{

// Our own ioctls on an instance's loop-control: in the range of the loop driver's, beyond what it
// uses. The contract is docs/loopfs.md.

// BLKRRPART on a device of the instance, by its number.
constexpr unsigned kRescan = _IO('L', 0xC0);
// An image for a device. The argument is one end of a socket pair (AF_UNIX, SOCK_SEQPACKET), on
// whose other end an ImageRequest was sent, with the image's descriptor. The result is the device's
// number, and by then an ImageReply is there to be received, with the device's descriptor.
constexpr unsigned kAttach = _IO('L', 0xC1);

// In the machine's own byte order, without holes.
struct ImageRequest {
	// Of LO_FLAGS_READ_ONLY, LO_FLAGS_PARTSCAN, LO_FLAGS_DIRECT_IO.
	uint32_t flags;
	// Bytes; 0: the driver's default.
	uint32_t block_size;
	uint64_t offset;
	// 0: to the image's end.
	uint64_t size_limit;
};
static_assert(sizeof(ImageRequest) == 24);

struct ImageReply {
	uint32_t number;
};

constexpr uint32_t kImageFlags = LO_FLAGS_READ_ONLY | LO_FLAGS_PARTSCAN | LO_FLAGS_DIRECT_IO;

} // namespace loopwarden

#endif
