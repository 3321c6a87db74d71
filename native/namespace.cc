// SPDX-License-Identifier: Apache-2.0
#include "namespace.h"

#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "unique_fd.h"

// Linux 6.18; the headers of older distributions have no name for it.
#ifndef NS_GET_ID
#define NS_GET_ID _IOR(NSIO, 13, __u64)
#endif

namespace loopwarden
{

Napi::Value NamespaceIdentity(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	std::string path = PathArgument(info, 0, "path");
	UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	struct statfs filesystem;
	struct stat status;
	if (!file || fstatfs(file.Get(), &filesystem) || fstat(file.Get(), &status))
		ThrowErrno(env, "namespaceIdentity", errno, path);
	if (filesystem.f_type != NSFS_MAGIC)
		ThrowReason(env, "namespaceIdentity", EINVAL, path, "not a namespace");
	__u64 id = 0;
	bool has_id = ioctl(file.Get(), NS_GET_ID, &id) == 0;
	if (!has_id && errno != ENOTTY)
		ThrowErrno(env, "namespaceIdentity", errno, path);
	uid_t owner = 0;
	bool has_owner = ioctl(file.Get(), NS_GET_OWNER_UID, &owner) == 0;
	// EINVAL: not a user namespace.
	if (!has_owner && errno != EINVAL)
		ThrowErrno(env, "namespaceIdentity", errno, path);
	Napi::Object identity = Napi::Object::New(env);
	identity.Set("inum", Napi::Number::New(env, static_cast<double>(status.st_ino)));
	identity.Set("id", has_id
			       ? Napi::BigInt::New(env, static_cast<uint64_t>(id)).As<Napi::Value>()
			       : env.Null());
	identity.Set("ownerUid",
		     has_owner ? Napi::Number::New(env, owner).As<Napi::Value>() : env.Null());
	return identity;
}

} // namespace loopwarden
