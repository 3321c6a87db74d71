// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_IMAGE_CLIENT_H
#define LOOPWARDEN_IMAGE_CLIENT_H

#include <napi.h>

namespace loopwarden
{

// (controlPath, imagePath, flags, blockSize, offset, sizeLimit): in a container, gets a device for
// an image. Returns its number and its open descriptor. Waits for the answer.
Napi::Value OfferImage(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
