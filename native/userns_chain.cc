// SPDX-License-Identifier: Apache-2.0
#include "userns_chain.h"

#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "initial_userns.h"
#include "unique_fd.h"

// Linux 6.18; the headers of older distributions have no name for it.
#ifndef NS_GET_ID
#define NS_GET_ID _IOR(NSIO, 13, __u64)
#endif

namespace loopwarden
{

// The kernel nests them 32 deep.
constexpr uint32_t kLevelsMost = 33;

Napi::Value UsernsChain(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	int pid = static_cast<int>(NumberArgument(info, 0, "pid", 1, INT_MAX));
	std::string path = "/proc/" + std::to_string(pid) + "/ns/user";
	UniqueFd level(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	if (!level)
		ThrowErrno(env, "usernsChain", errno, path);
	Napi::Array chain = Napi::Array::New(env);
	for (uint32_t at = 0; at < kLevelsMost; at++) {
		struct stat status;
		if (fstat(level.Get(), &status))
			ThrowErrno(env, "usernsChain", errno, path);
		if (status.st_ino == kInitialInum)
			break;
		__u64 id = 0;
		bool has_id = ioctl(level.Get(), NS_GET_ID, &id) == 0;
		Napi::Object entry = Napi::Object::New(env);
		entry.Set("inum", Napi::Number::New(env, static_cast<double>(status.st_ino)));
		entry.Set("id",
			  has_id
			      ? Napi::BigInt::New(env, static_cast<uint64_t>(id)).As<Napi::Value>()
			      : env.Null());
		chain.Set(at, entry);
		UniqueFd parent(ioctl(level.Get(), NS_GET_PARENT));
		// EPERM: the parent is the initial one or not ours to see.
		if (!parent)
			break;
		level = std::move(parent);
	}
	return chain;
}

} // namespace loopwarden
