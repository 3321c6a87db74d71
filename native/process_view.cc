// SPDX-License-Identifier: Apache-2.0
#include "process_view.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "privileged_thread.h"
#include "unique_fd.h"

namespace loopwarden
{
namespace
{

std::string FolderArgument(const Napi::CallbackInfo &info)
{
	return "/proc/" + std::to_string(NumberArgument(info, 0, "pid", 1, INT_MAX));
}

// As a part of a path: no other is ever read with more than the caller has.
std::string KindArgument(const Napi::CallbackInfo &info, size_t index)
{
	std::string kind = PathArgument(info, index, "kind");
	if (kind != "mnt" && kind != "user" && kind != "pid")
		ThrowRange(info.Env(), "kind must be mnt, user or pid");
	return "/ns/" + kind;
}

// Far more than a cgroup path (PATH_MAX) in each hierarchy of cgroup v1.
constexpr size_t kTextMost = 64 << 10;

// As a part of a path, too.
std::string FileArgument(const Napi::CallbackInfo &info, size_t index)
{
	std::string name = PathArgument(info, index, "name");
	if (name != "comm" && name != "cgroup" && name != "stat")
		ThrowRange(info.Env(), "name must be comm, cgroup or stat");
	return "/" + name;
}

// Empty: gone, or not to be seen.
std::string TextOf(const std::string &path)
{
	std::string text;
	char part[4096];
	UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	while (file && text.size() < kTextMost) {
		ssize_t length = read(file.Get(), part, sizeof(part));
		if (length <= 0)
			return length < 0 ? std::string() : text;
		text.append(part, static_cast<size_t>(length));
	}
	return text;
}

// 0: gone, or not to be seen.
uint32_t InumOf(const std::string &path)
{
	struct stat status;
	return stat(path.c_str(), &status) ? 0 : static_cast<uint32_t>(status.st_ino);
}

// A path as it is seen from that root, symbolic links and all.
UniqueFd OpenIn(const char *folder, const std::string &path)
{
	UniqueFd root(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
	struct open_how how = {};
	how.flags = O_PATH | O_CLOEXEC;
	how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
	if (!root)
		return UniqueFd();
	return UniqueFd(
	    static_cast<int>(syscall(SYS_openat2, root.Get(), path.c_str(), &how, sizeof(how))));
}

// The very file, whatever either mount namespace calls it.
bool AreSame(const UniqueFd &one, const UniqueFd &other)
{
	struct stat first, second;
	return one && other && !fstat(one.Get(), &first) && !fstat(other.Get(), &second) &&
	       first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// Pairs: pid and inum.
std::vector<uint32_t> InumsOfAll(const std::string &kind)
{
	std::vector<uint32_t> pairs;
	std::unique_ptr<DIR, int (*)(DIR *)> processes(opendir("/proc"), closedir);
	while (struct dirent *entry = processes ? readdir(processes.get()) : nullptr) {
		int pid = atoi(entry->d_name);
		if (pid <= 0)
			continue;
		uint32_t inum = InumOf(std::string("/proc/") + entry->d_name + kind);
		if (inum)
			pairs.insert(pairs.end(), {static_cast<uint32_t>(pid), inum});
	}
	return pairs;
}

} // namespace

Napi::Value ProcessExecutable(const Napi::CallbackInfo &info)
{
	std::string path = FolderArgument(info) + "/exe";
	char text[PATH_MAX];
	ssize_t length = -1;
	RunPrivileged([&] { length = readlink(path.c_str(), text, sizeof(text)); });
	return Napi::String::New(info.Env(), text, length < 0 ? 0 : static_cast<size_t>(length));
}

Napi::Value ProcessText(const Napi::CallbackInfo &info)
{
	std::string path = FolderArgument(info) + FileArgument(info, 1);
	std::string text;
	RunPrivileged([&] { text = TextOf(path); });
	return Napi::String::New(info.Env(), text);
}

Napi::Value RunsExecutable(const Napi::CallbackInfo &info)
{
	std::string process = FolderArgument(info) + "/exe";
	std::string path = PathArgument(info, 1, "path");
	bool same = false;
	RunPrivileged([&] {
		UniqueFd running(open(process.c_str(), O_PATH | O_CLOEXEC));
		// The agent may have another root than the host's first process, whom not every kernel shows.
		same = AreSame(running, OpenIn("/", path)) ||
		       AreSame(running, OpenIn("/proc/1/root", path));
	});
	return Napi::Boolean::New(info.Env(), same);
}

Napi::Value ProcessNamespace(const Napi::CallbackInfo &info)
{
	std::string path = FolderArgument(info) + KindArgument(info, 1);
	uint32_t inum = 0;
	RunPrivileged([&] { inum = InumOf(path); });
	return Napi::Number::New(info.Env(), inum);
}

Napi::Value ListNamespaces(const Napi::CallbackInfo &info)
{
	std::string kind = KindArgument(info, 0);
	std::vector<uint32_t> pairs;
	RunPrivileged([&] { pairs = InumsOfAll(kind); });
	return Napi::Buffer<uint8_t>::Copy(info.Env(), reinterpret_cast<uint8_t *>(pairs.data()),
					   pairs.size() * sizeof(uint32_t));
}

} // namespace loopwarden
