// SPDX-License-Identifier: Apache-2.0
#include "udev_cookie.h"

#include <sys/ipc.h>
#include <sys/sem.h>

#include <cerrno>
#include <cstdint>

#include "arguments.h"

namespace loopwarden
{
namespace
{

// A cookie's lower half and this are the key of a semaphore; its upper half are flags for the rules
// (DM_COOKIE_MAGIC and DM_UDEV_FLAGS_SHIFT of libdevmapper).
constexpr uint32_t kMagic = 0x0D4D0000;
constexpr uint32_t kKeyMask = 0xFFFF;

} // namespace

Napi::Value CompleteUdevCookie(const Napi::CallbackInfo &info)
{
	auto cookie = static_cast<uint32_t>(NumberArgument(info, 0, "cookie", 0, UINT32_MAX));
	int semaphore = semget(static_cast<key_t>(kMagic | (cookie & kKeyMask)), 1, 0);
	// Whoever waits raised it by one for each uevent, and waits until all have been taken back.
	struct sembuf taken = {0, -1, IPC_NOWAIT};
	int error = semaphore < 0 || semop(semaphore, &taken, 1) ? errno : 0;
	return Napi::Number::New(info.Env(), error);
}

} // namespace loopwarden
