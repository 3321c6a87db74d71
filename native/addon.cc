// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <napi.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <string>

#include "arguments.h"
#include "btf.h"
#include "cgroup.h"
#include "datagram_socket.h"
#include "devtmpfs.h"
#include "errors.h"
#include "exported.h"
#include "link.h"
#include "linker.h"
#include "loop_release.h"
#include "map.h"
#include "mount_namespace.h"
#include "namespace.h"
#include "object.h"
#include "privileged_thread.h"
#include "process_view.h"
#include "program.h"
#include "receiver_socket.h"
#include "receiver_watch.h"
#include "ring_reader.h"
#include "service_notify.h"
#include "udev_cookie.h"
#include "uevent_listener.h"
#include "uevent_sender.h"
#include "uevent_source.h"
#include "unique_fd.h"
#include "wrapped.h"

namespace loopwarden
{
namespace
{

Napi::Value LibbpfVersion(const Napi::CallbackInfo &info)
{
	return Napi::String::New(info.Env(), std::to_string(libbpf_major_version()) + "." +
						 std::to_string(libbpf_minor_version()));
}

// A hash of one entry: needs CAP_BPF, and passes seccomp and lockdown or doesn't, as the real ones
// will.
Napi::Value ProbeBpf(const Napi::CallbackInfo &info)
{
	LogCapture capture;
	UniqueFd map(bpf_map_create(BPF_MAP_TYPE_HASH, "loopwarden", sizeof(uint32_t),
				    sizeof(uint32_t), 1, nullptr));
	return Napi::Number::New(info.Env(), map ? 0 : errno);
}

uint64_t Now(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

Napi::Value Clocks(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Napi::Object clocks = Napi::Object::New(env);
	clocks.Set("bootNs", Napi::BigInt::New(env, Now(CLOCK_BOOTTIME)));
	clocks.Set("wallNs", Napi::BigInt::New(env, Now(CLOCK_REALTIME)));
	return clocks;
}

Napi::Value ProgramName(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	auto id = static_cast<uint32_t>(NumberArgument(info, 0, "id", 0, UINT32_MAX));
	LogCapture capture;
	UniqueFd program(bpf_prog_get_fd_by_id(id));
	if (!program && errno == ENOENT)
		return env.Null();
	struct bpf_prog_info about = {};
	uint32_t size = sizeof(about);
	if (!program || bpf_obj_get_info_by_fd(program.Get(), &about, &size))
		ThrowErrno(env, "programName", errno, std::to_string(id));
	return Napi::String::New(env, about.name);
}

Napi::Value Ioctl(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	auto request =
	    static_cast<unsigned long>(NumberArgument(info, 1, "request", 0, UINT32_MAX));
	auto argument =
	    static_cast<unsigned long>(NumberArgument(info, 2, "argument", 0, UINT32_MAX));
	UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	if (!file)
		ThrowErrno(info.Env(), "ioctl", errno, path);
	int result = ioctl(file.Get(), request, argument);
	return Napi::Number::New(info.Env(), result < 0 ? -errno : result);
}

Napi::Value MountBpffs(const Napi::CallbackInfo &info)
{
	std::string directory = PathArgument(info, 0, "directory");
	if (mount("bpf", directory.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		ThrowErrno(info.Env(), "mountBpffs", errno, directory);
	return info.Env().Undefined();
}

Napi::Object Initialize(Napi::Env env, Napi::Object exports)
{
	LogCapture::Install();
	env.SetInstanceData(new AddonData);
	Object::Register(env);
	Program::Register(env);
	Link::Register(env);
	Map::Register(env);
	Linker::Register(env);
	Btf::Register(env);
	RingReader::Register(env);
	ReceiverSocket::Register(env);
	UeventListener::Register(env);
	ReceiverWatch::Register(env);
	MountNamespace::Register(env);
	UeventSender::Register(env);
	UeventSource::Register(env);
	DatagramSocket::Register(env);
	const napi_property_descriptor functions[] = {
	    Export<LibbpfVersion>("libbpfVersion"),
	    Export<Object::Open>("openObject"),
	    Export<Map::OpenPinned>("openPinnedMap"),
	    Export<Map::OpenOfProgram>("openMapOfProgram"),
	    Export<Program::OpenPinned>("openPinnedProgram"),
	    Export<Link::OpenPinned>("openPinnedLink"),
	    Export<RingReader::Open>("openRingReader"),
	    Export<Linker::Open>("openLinker"),
	    Export<Btf::Open>("openBtf"),
	    Export<ReceiverSocket::Open>("openReceiver"),
	    Export<UeventListener::Open>("openUeventListener"),
	    Export<ReceiverWatch::Open>("watchReceivers"),
	    Export<MountNamespace::Open>("openMountNamespace"),
	    Export<UeventSender::Open>("openUeventSender"),
	    Export<UeventSource::Open>("openUeventSource"),
	    Export<DatagramSocket::Open>("openDatagramSocket"),
	    Export<NamespaceIdentity>("namespaceIdentity"),
	    Export<CgroupPath>("cgroupPath"),
	    Export<Clocks>("clocks"),
	    Export<ProgramName>("programName"),
	    Export<ProbeBpf>("probeBpf"),
	    Export<MountBpffs>("mountBpffs"),
	    Export<Ioctl>("ioctl"),
	    Export<DropCapabilities>("dropCapabilities"),
	    Export<ProcessExecutable>("processExecutable"),
	    Export<ProcessText>("processText"),
	    Export<ProcessNamespace>("processNamespace"),
	    Export<RunsExecutable>("runsExecutable"),
	    Export<ListNamespaces>("listNamespaces"),
	    Export<NotifyService>("notifyService"),
	    Export<ClaimLoop>("claimLoop"),
	    Export<ReleaseLoop>("releaseLoop"),
	    Export<RemoveLoop>("removeLoop"),
	    Export<OpenDevtmpfs>("openDevtmpfs"),
	    Export<MakeDeviceNode>("makeDeviceNode"),
	    Export<CompleteUdevCookie>("completeUdevCookie"),
	};
	napi_define_properties(env, exports, sizeof(functions) / sizeof(functions[0]), functions);
	return exports;
}

} // namespace
} // namespace loopwarden

static Napi::Object InitializeAddon(Napi::Env env, Napi::Object exports)
{
	return loopwarden::Initialize(env, exports);
}

NODE_API_MODULE(loopwarden, InitializeAddon)
