// SPDX-License-Identifier: Apache-2.0
#include "capabilities.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "thread_capabilities.h"

namespace loopwarden
{
namespace
{

// More than any kernel has; it says EINVAL after its last one.
constexpr int kMost = 63;

std::vector<std::string> TextsArgument(const Napi::CallbackInfo &info, size_t index,
				       const char *name)
{
	if (info.Length() <= index || !info[index].IsArray())
		ThrowType(info.Env(), std::string(name) + " must be an array of strings");
	Napi::Array array = info[index].As<Napi::Array>();
	std::vector<std::string> texts;
	for (uint32_t at = 0; at < array.Length(); at++) {
		Napi::Value value = array[at];
		if (!value.IsString())
			ThrowType(info.Env(), std::string(name) + " must be an array of strings");
		texts.push_back(value.As<Napi::String>().Utf8Value());
	}
	return texts;
}

// The bounding set is what the next program starts with, as root.
int DropBounding(uint64_t keep)
{
	for (int capability = 0; capability <= kMost; capability++) {
		int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (held < 0)
			return 0;
		if (held && !(keep >> capability & 1) &&
		    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
			return errno;
	}
	return 0;
}

} // namespace

Napi::Value ExecWithCapabilities(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	auto keep = static_cast<uint64_t>(NumberArgument(info, 0, "keep", 0, (1LL << 53) - 1));
	std::string path = PathArgument(info, 1, "path");
	std::vector<std::string> texts = TextsArgument(info, 2, "argv");
	std::vector<char *> argv;
	for (std::string &text : texts)
		argv.push_back(&text[0]);
	argv.push_back(nullptr);

	int error = DropBounding(keep);
	// Without CAP_SETPCAP it stays as it is, and no_new_privs keeps the next program from using it.
	if (!error || error == EPERM)
		error = LimitThread(keep);
	if (error)
		ThrowErrno(env, "dropCapabilities", error);
	// Node keeps even these from its children.
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		fcntl(fd, F_SETFD, 0);
	execve(path.c_str(), argv.data(), environ);
	ThrowErrno(env, "execve", errno, path);
}

} // namespace loopwarden
