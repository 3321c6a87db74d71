// SPDX-License-Identifier: Apache-2.0
#include "mount_namespace.h"

#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <string>

#include "arguments.h"
#include "container_path.h"
#include "errors.h"
#include "process_namespace.h"
#include "thread_task.h"

// Of <sys/mount.h>, which does not go with <linux/mount.h>.
extern "C" int umount2(const char *target, int flags);

namespace loopwarden
{

constexpr char MountNamespace::kName[];
const napi_type_tag MountNamespace::kTag = {0x6c6f6f7077617264, 0x656e00000000000b};

namespace
{

constexpr int kDetach = 2;
constexpr int kNoFollow = 8;
constexpr mode_t kFolderMode = 0755;
// Beside the name that it takes in the next step. A container that has one of its own loses nothing
// but the replacement.
constexpr char kPassing[] = ".loopwarden-new";

using State = std::shared_ptr<const MountNamespaceState>;

void LeaveHost()
{
	// Threads share root and working directory until one of them asks for its own.
	if (unshare(CLONE_FS))
		throw Failure{errno, "unshare", ""};
	umask(0);
}

// Only for mounting and unmounting; all else goes through the open root.
void Enter(int mounts)
{
	if (setns(mounts, CLONE_NEWNS))
		throw Failure{errno, "setns", ""};
}

// File systems that were mounted in a user namespace refuse ids that it doesn't map (EOVERFLOW), so
// the host's root can't make anything there; and it should not: these ids may do what the container may.
void BecomeContainerRoot(const MountNamespaceState &state)
{
	setfsgid(state.gid);
	setfsuid(state.uid);
	if (static_cast<gid_t>(setfsgid(-1)) != state.gid ||
	    static_cast<uid_t>(setfsuid(-1)) != state.uid)
		throw Failure{EPERM, "setfsuid", ""};
}

bool IsNamespace(const char *path, const struct stat &other)
{
	struct stat status;
	return !stat(path, &status) && status.st_ino == other.st_ino;
}

uint64_t HostDevice(const char *path)
{
	struct stat status;
	return stat(path, &status) ? 0 : status.st_dev;
}

// A container that has the host's own /dev is given nothing: it would be made on the host.
loopwarden::Place OpenOwnPlace(const MountNamespaceState &state, const std::string &path,
			       uint64_t host_dev)
{
	loopwarden::Place place = OpenPlace(state.root.Get(), path);
	if (host_dev && StandingOf(place.folder.Get(), path).device == host_dev)
		throw Failure{EXDEV, path, "the container has the host's own /dev"};
	return place;
}

std::string ReadLink(const loopwarden::Place &place)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(place.folder.Get(), place.name.c_str(), text, sizeof(text));
	return length < 0 ? "" : std::string(text, length);
}

// Shared, because what is handed to a thread must be copyable.
std::shared_ptr<UniqueFd> OpenMounts(Napi::Env env, const char *operation,
				     const MountNamespaceState &state)
{
	auto mounts = std::make_shared<UniqueFd>();
	int error = OpenProcessNamespace(state.pid, state.start_ticks, "mnt", *mounts);
	if (error)
		ThrowErrno(env, operation, error, "pid " + std::to_string(state.pid));
	return mounts;
}

Finish Answer(bool value)
{
	return [value](Napi::Env env) -> Napi::Value { return Napi::Boolean::New(env, value); };
}

Finish PlaceMount(const MountNamespaceState &state, int mounts, int mount,
		  const std::string &target, uint64_t host_dev)
{
	uint64_t mount_id = StandingOf(mount, "the mount").mount_id;
	LeaveHost();
	Enter(mounts);
	BecomeContainerRoot(state);
	loopwarden::Place place = OpenOwnPlace(state, target, host_dev);
	bool made = mkdirat(place.folder.Get(), place.name.c_str(), kFolderMode) == 0;
	if (!made && errno != EEXIST)
		throw Failure{errno, target, ""};
	try {
		UniqueFd folder = OpenFolderAt(place, false);
		if (syscall(SYS_move_mount, mount, "", folder.Get(), "",
			    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
			throw Failure{errno, target, ""};
	} catch (const Failure &) {
		if (made)
			unlinkat(place.folder.Get(), place.name.c_str(), AT_REMOVEDIR);
		throw;
	}
	return [mount_id](Napi::Env env) -> Napi::Value {
		return Napi::Number::New(env, static_cast<double>(mount_id));
	};
}

// A file system whose server has gone says so to whoever asks. One that never answers keeps us
// waiting.
bool IsDead(int folder)
{
	struct statx status;
	return statx(folder, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status) &&
	       (errno == ENOTCONN || errno == ECONNABORTED);
}

// `mount_id` 0: whatever is mounted there, if its server has gone.
Finish UnplaceMount(const MountNamespaceState &state, int mounts, const std::string &target,
		    uint64_t mount_id, uint64_t host_dev)
{
	LeaveHost();
	Enter(mounts);
	BecomeContainerRoot(state);
	loopwarden::Place place = OpenOwnPlace(state, target, host_dev);
	try {
		UniqueFd folder = OpenFolderAt(place, true);
		Standing standing = StandingOf(folder.Get(), target);
		if (!standing.is_mount_root ||
		    (mount_id ? standing.mount_id != mount_id : !IsDead(folder.Get())))
			return Answer(false);
	} catch (const Failure &failure) {
		// The container has taken it away, or put something else there.
		if (failure.error == ENOENT || failure.error == ENOTDIR || failure.error == ELOOP)
			return Answer(false);
		throw;
	}
	// By its name in the open folder: a path through the mount itself would ask its server, which
	// may be dead. What the container puts there in between is its own mount.
	if (fchdir(place.folder.Get()) || umount2(place.name.c_str(), kDetach | kNoFollow))
		throw Failure{errno, target, ""};
	unlinkat(place.folder.Get(), place.name.c_str(), AT_REMOVEDIR);
	return Answer(true);
}

void ReplaceByLink(const loopwarden::Place &place, const std::string &path,
		   const std::string &target)
{
	int folder = place.folder.Get();
	unlinkat(folder, kPassing, 0);
	if (symlinkat(target.c_str(), folder, kPassing))
		throw Failure{errno, path, ""};
	if (renameat(folder, kPassing, folder, place.name.c_str())) {
		int error = errno;
		unlinkat(folder, kPassing, 0);
		throw Failure{error, path, ""};
	}
}

Finish MakeLink(const MountNamespaceState &state, const std::string &path,
		const std::string &target, bool replace, uint64_t host_dev)
{
	LeaveHost();
	BecomeContainerRoot(state);
	loopwarden::Place place = OpenOwnPlace(state, path, host_dev);
	if (!symlinkat(target.c_str(), place.folder.Get(), place.name.c_str()))
		return Answer(true);
	if (errno != EEXIST)
		throw Failure{errno, path, ""};
	if (ReadLink(place) == target)
		return Answer(false);
	if (!replace)
		throw Failure{EEXIST, path, ""};
	ReplaceByLink(place, path, target);
	return Answer(true);
}

Finish RemoveLink(const MountNamespaceState &state, const std::string &path,
		  const std::string &target, uint64_t host_dev)
{
	LeaveHost();
	BecomeContainerRoot(state);
	loopwarden::Place place = OpenOwnPlace(state, path, host_dev);
	if (ReadLink(place) != target)
		return Answer(false);
	if (unlinkat(place.folder.Get(), place.name.c_str(), 0)) {
		if (errno == ENOENT)
			return Answer(false);
		throw Failure{errno, path, ""};
	}
	return Answer(true);
}

} // namespace

void MountNamespace::Register(Napi::Env env)
{
	Define(env, {
			Call<&MountNamespace::Place>("place"),
			Call<&MountNamespace::Unplace>("unplace"),
			Call<&MountNamespace::UnplaceDead>("unplaceDead"),
			Call<&MountNamespace::Link>("link"),
			Call<&MountNamespace::Unlink>("unlink"),
		    });
}

Napi::Value MountNamespace::Open(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	int pid = NumberArgument(info, 0, "pid", 1, INT_MAX);
	auto start = static_cast<uint64_t>(NumberArgument(info, 1, "startTicks", 0, 1LL << 53));
	auto opened = std::make_shared<MountNamespaceState>();
	opened->uid = NumberArgument(info, 2, "uid", 0, UINT32_MAX - 1LL);
	opened->gid = NumberArgument(info, 3, "gid", 0, UINT32_MAX - 1LL);
	std::string root = PathArgument(info, 4, "root");
	opened->pid = pid;
	opened->start_ticks = start;
	auto mounts = OpenMounts(env, "openMountNamespace", *opened);
	struct stat theirs;
	if (fstat(mounts->Get(), &theirs))
		ThrowErrno(env, "openMountNamespace", errno);
	// Pid 1's too: a service manager may have given this process one of its own.
	if (IsNamespace("/proc/self/ns/mnt", theirs) || IsNamespace("/proc/1/ns/mnt", theirs))
		ThrowReason(env, "openMountNamespace", EXDEV, "pid " + std::to_string(pid),
			    "it has the host's own mount namespace");
	return RunInThread(env, "openMountNamespace", [opened, mounts, root]() -> Finish {
		LeaveHost();
		Enter(mounts->Get());
		// The namespace's own root, not the process's, which may be anything that it has a
		// descriptor of.
		UniqueFd top(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
		if (!top)
			throw Failure{errno, "/", ""};
		opened->root = OpenHostFolder(top.Get(), root);
		return [opened](Napi::Env end) -> Napi::Value {
			return Make(end, std::make_unique<State>(opened));
		};
	});
}

Napi::Value MountNamespace::Place(const Napi::CallbackInfo &info)
{
	int fd = NumberArgument(info, 0, "mountFd", 0, INT_MAX);
	std::string target = PathArgument(info, 1, "target");
	// Of our own, so that the caller may close his at once.
	auto mount = std::make_shared<UniqueFd>(UniqueFd::DuplicateOf(fd));
	if (!*mount)
		ThrowErrno(info.Env(), "place", errno, "fd " + std::to_string(fd));
	auto mounts = OpenMounts(info.Env(), "place", **state_);
	return RunInThread(info.Env(), "place",
			   [state = *state_, mounts, mount, target, host_dev = HostDevice("/dev")] {
				   return PlaceMount(*state, mounts->Get(), mount->Get(), target,
						     host_dev);
			   });
}

Napi::Value MountNamespace::Unplace(const Napi::CallbackInfo &info)
{
	std::string target = PathArgument(info, 0, "target");
	auto mount_id = static_cast<uint64_t>(NumberArgument(info, 1, "mountId", 1, 1LL << 53));
	return UnplaceById(info, "unplace", target, mount_id);
}

Napi::Value MountNamespace::UnplaceDead(const Napi::CallbackInfo &info)
{
	return UnplaceById(info, "unplaceDead", PathArgument(info, 0, "target"), 0);
}

Napi::Value MountNamespace::UnplaceById(const Napi::CallbackInfo &info, const char *operation,
					const std::string &target, uint64_t mount_id)
{
	auto mounts = OpenMounts(info.Env(), operation, **state_);
	return RunInThread(
	    info.Env(), operation,
	    [state = *state_, mounts, target, mount_id, host_dev = HostDevice("/dev")] {
		    return UnplaceMount(*state, mounts->Get(), target, mount_id, host_dev);
	    });
}

Napi::Value MountNamespace::Link(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	std::string target = PathArgument(info, 1, "target");
	bool replace = BooleanArgument(info, 2, "replace");
	return RunInThread(info.Env(), "link",
			   [state = *state_, path, target, replace, host_dev = HostDevice("/dev")] {
				   return MakeLink(*state, path, target, replace, host_dev);
			   });
}

Napi::Value MountNamespace::Unlink(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	std::string target = PathArgument(info, 1, "target");
	return RunInThread(info.Env(), "unlink",
			   [state = *state_, path, target, host_dev = HostDevice("/dev")] {
				   return RemoveLink(*state, path, target, host_dev);
			   });
}

} // namespace loopwarden
