// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_IMAGE_OFFER_H
#define LOOPWARDEN_IMAGE_OFFER_H

#include <napi.h>

namespace loopwarden
{

// What a container hands over for kAttach (image_protocol.h). All in threads of their own: already
// to close what it handed over may take forever, if the file system that it lies on is its own.

// (processFd, fd, instanceDevice): takes the image out of the container's socket. Resolves with an
// opaque value, which one of the other two must get; rejects with the caller's errno.
Napi::Value TakeImage(const Napi::CallbackInfo &info);
// (image, usernsFd, number, major, minor): sets the device up, as a process of that user namespace,
// and sends it back. It clears itself when nobody has it open any more.
Napi::Value AttachImage(const Napi::CallbackInfo &info);
// (image)
Napi::Value DropImage(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
