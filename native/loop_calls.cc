// SPDX-License-Identifier: Apache-2.0
#include "loop_calls.h"

#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <functional>
#include <string>

#include "arguments.h"
#include "device_node.h"
#include "thread_task.h"
#include "unique_fd.h"

namespace loopwarden
{
namespace
{

class Call : public Napi::AsyncWorker
{
      public:
	Call(Napi::Env env, const char *name, std::function<int()> body)
	    : Napi::AsyncWorker(env, name), deferred_(Napi::Promise::Deferred::New(env)),
	      body_(std::move(body))
	{
	}

	Napi::Promise Promise() const
	{
		return deferred_.Promise();
	}

	void Execute() override
	{
		result_ = body_();
	}

	void OnOK() override
	{
		deferred_.Resolve(Napi::Number::New(Env(), result_));
	}

	void OnError(const Napi::Error &error) override
	{
		deferred_.Reject(error.Value());
	}

      private:
	Napi::Promise::Deferred deferred_;
	std::function<int()> body_;
	int result_ = 0;
};

Napi::Value Queue(Napi::Env env, const char *name, std::function<int()> body)
{
	auto *call = new Call(env, name, std::move(body));
	Napi::Promise promise = call->Promise();
	call->Queue();
	return promise;
}

int ControlIoctl(unsigned long request, int argument)
{
	UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
	if (!control)
		return -errno;
	int result = ioctl(control.Get(), request, static_cast<long>(argument));
	return result < 0 ? -errno : result;
}

// For reading: a close after writing would have the host's udev look at the device.
int DeviceIoctl(dev_t devno, unsigned long request)
{
	UniqueFd device = OpenDevice(devno, O_RDONLY);
	if (!device || ioctl(device.Get(), request, 0))
		return -errno;
	return 0;
}

dev_t DevnoArgument(const Napi::CallbackInfo &info)
{
	auto major_number = static_cast<unsigned>(NumberArgument(info, 0, "major", 0, 0xfff));
	auto minor_number = static_cast<unsigned>(NumberArgument(info, 1, "minor", 0, 0xfffff));
	return makedev(major_number, minor_number);
}

} // namespace

Napi::Value CallLoopControl(const Napi::CallbackInfo &info)
{
	auto request =
	    static_cast<unsigned long>(NumberArgument(info, 0, "request", 0, UINT32_MAX));
	int argument = static_cast<int>(NumberArgument(info, 1, "argument", INT_MIN, INT_MAX));
	return Queue(info.Env(), "loopwarden:loop-control",
		     [=] { return ControlIoctl(request, argument); });
}

Napi::Value ClearLoop(const Napi::CallbackInfo &info)
{
	dev_t devno = DevnoArgument(info);
	return Queue(info.Env(), "loopwarden:clear-loop",
		     [=] { return DeviceIoctl(devno, LOOP_CLR_FD); });
}

Napi::Value RescanLoop(const Napi::CallbackInfo &info)
{
	dev_t devno = DevnoArgument(info);
	// In a thread of its own: the image may lie on a file system that never answers.
	return RunInThread(info.Env(), "rescanLoop", [devno]() -> Finish {
		int result = DeviceIoctl(devno, BLKRRPART);
		return [result](Napi::Env env) -> Napi::Value {
			return Napi::Number::New(env, result);
		};
	});
}

} // namespace loopwarden
