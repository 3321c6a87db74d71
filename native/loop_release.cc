// SPDX-License-Identifier: Apache-2.0
#include "loop_release.h"

#include <linux/loop.h>
#include <linux/major.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <climits>
#include <memory>
#include <string>

#include "arguments.h"
#include "thread_task.h"
#include "unique_fd.h"

namespace loopwarden
{
namespace
{

constexpr char kControl[] = "/dev/loop-control";

struct Released {
	int error;
	// It detaches itself at its last close, for that could not be taken back.
	bool armed;
};

// Takes back what LOOP_CLR_FD did to a device that somebody else has open. Only a descriptor for writing may.
bool Disarm(int device, struct loop_info64 &status)
{
	status.lo_flags &= ~static_cast<uint32_t>(LO_FLAGS_AUTOCLEAR);
	std::string path = "/proc/self/fd/" + std::to_string(device);
	UniqueFd writable(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
	return writable && ioctl(writable.Get(), LOOP_SET_STATUS64, &status) == 0;
}

/*
 * drivers/block/loop.c, loop_clr_fd(): where others have the device open, the call succeeds and makes it one that detaches
 * itself at the last close. So what it did is asked for: LOOP_GET_STATUS64 knows no device that is on its way down (ENXIO).
 */
Released Detach(int device, bool was_autoclear)
{
	if (ioctl(device, LOOP_CLR_FD, 0))
		return {errno, false};
	struct loop_info64 status;
	if (ioctl(device, LOOP_GET_STATUS64, &status))
		return {errno == ENXIO ? 0 : errno, false};
	return {EBUSY, !was_autoclear && !Disarm(device, status)};
}

Napi::Value ReleasedObject(Napi::Env env, const Released &released)
{
	Napi::Object object = Napi::Object::New(env);
	object.Set("errno", Napi::Number::New(env, released.error));
	object.Set("armed", Napi::Boolean::New(env, released.armed));
	return object;
}

} // namespace

Napi::Value ClaimLoop(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	auto minor_number = static_cast<unsigned>(NumberArgument(info, 1, "minor", 0, 0xfffff));
	return RunInThread(info.Env(), "claimLoop", [path, minor_number]() -> Finish {
		// O_EXCL: EBUSY while a mount, swap, or a device on top has it or one of its partitions. For reading: a close
		// after writing would have the host's udev look at it.
		auto device = std::make_shared<UniqueFd>(
		    open(path.c_str(), O_RDONLY | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
		struct stat status;
		if (!*device || fstat(device->Get(), &status))
			throw Failure{errno, path, ""};
		if (!S_ISBLK(status.st_mode) || status.st_rdev != makedev(LOOP_MAJOR, minor_number))
			throw Failure{ESTALE, path, "another file has its name"};
		return [device](Napi::Env env) -> Napi::Value {
			return Napi::Number::New(env, device->Release());
		};
	});
}

Napi::Value ReleaseLoop(const Napi::CallbackInfo &info)
{
	auto device =
	    std::make_shared<UniqueFd>(static_cast<int>(NumberArgument(info, 0, "fd", 0, INT_MAX)));
	bool detach = BooleanArgument(info, 1, "detach");
	bool was_autoclear = BooleanArgument(info, 2, "wasAutoclear");
	return RunInThread(info.Env(), "releaseLoop", [=]() -> Finish {
		Released released = {0, false};
		if (detach)
			released = Detach(device->Get(), was_autoclear);
		// Newer kernels (6.11) let go of the file only here.
		device->Reset();
		return [released](Napi::Env env) -> Napi::Value {
			return ReleasedObject(env, released);
		};
	});
}

Napi::Value RemoveLoop(const Napi::CallbackInfo &info)
{
	int number = static_cast<int>(NumberArgument(info, 0, "number", 0, 0xfffff));
	return RunInThread(info.Env(), "removeLoop", [number]() -> Finish {
		UniqueFd control(open(kControl, O_RDWR | O_CLOEXEC));
		if (!control)
			throw Failure{errno, kControl, ""};
		int error = ioctl(control.Get(), LOOP_CTL_REMOVE, number) < 0 ? errno : 0;
		return
		    [error](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, error); };
	});
}

} // namespace loopwarden
