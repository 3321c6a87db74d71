// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <vector>

#include "arguments.h"
#include "bpf_fd.h"
#include "errors.h"

namespace loopwarden
{

constexpr char Link::kName[];
const napi_type_tag Link::kTag = {0x6c6f6f7077617264, 0x656e000000000003};

namespace
{

constexpr int64_t kIteratorBytesDefault = 16 << 20;
constexpr int64_t kIteratorBytesMost = 1 << 30;

} // namespace

LinkState::LinkState(struct bpf_link *link) : link_(link)
{
}

LinkState::~LinkState()
{
	if (!link_)
		return;
	// libbpf would switch a pinned kprobe's perf event off; what is pinned must go on without
	// us.
	if (!pin_path.empty()) {
		fd_.Reset(bpf_link__fd(link_));
		bpf_link__disconnect(link_);
	}
	bpf_link__destroy(link_);
}

int LinkState::Fd() const
{
	return link_ ? bpf_link__fd(link_) : fd_.Get();
}

void Link::Register(Napi::Env env)
{
	Define(env, {
			Get<&Link::Id>("id"),
			Get<&Link::ProgramId>("programId"),
			Call<&Link::Pin>("pin"),
			Call<&Link::Unpin>("unpin"),
			Call<&Link::ReadIterator>("readIterator"),
		    });
}

Napi::Value Link::OpenPinned(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	auto state =
	    std::make_unique<LinkState>(OpenPin(info.Env(), "openPinnedLink", path, "link"));
	state->pin_path = path;
	return Make(info.Env(), std::move(state));
}

struct bpf_link_info Link::About(Napi::Env env, const char *operation)
{
	struct bpf_link_info link = {};
	__u32 size = sizeof(link);
	if (bpf_obj_get_info_by_fd(state_->Fd(), &link, &size))
		ThrowErrno(env, operation, errno);
	return link;
}

Napi::Value Link::Id(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), About(info.Env(), "id").id);
}

Napi::Value Link::ProgramId(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), About(info.Env(), "programId").prog_id);
}

Napi::Value Link::Pin(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	if (!state_->pin_path.empty())
		ThrowReason(info.Env(), "pin", EBUSY, path, "pinned at " + state_->pin_path);
	PinFd(info.Env(), "pin", state_->Fd(), path);
	state_->pin_path = path;
	return info.Env().Undefined();
}

Napi::Value Link::Unpin(const Napi::CallbackInfo &info)
{
	if (state_->pin_path.empty())
		ThrowErrno(info.Env(), "unpin", ENOENT);
	if (unlink(state_->pin_path.c_str()))
		ThrowErrno(info.Env(), "unpin", errno, state_->pin_path);
	state_->pin_path.clear();
	return info.Env().Undefined();
}

Napi::Value Link::ReadIterator(const Napi::CallbackInfo &info)
{
	int64_t most = info[0].IsUndefined()
			   ? kIteratorBytesDefault
			   : NumberArgument(info, 0, "maxBytes", 0, kIteratorBytesMost);
	UniqueFd iterator(bpf_iter_create(state_->Fd()));
	if (!iterator)
		ThrowErrno(info.Env(), "readIterator", errno);
	std::vector<uint8_t> text;
	std::vector<uint8_t> chunk(64 << 10);
	for (;;) {
		ssize_t got = read(iterator.Get(), chunk.data(), chunk.size());
		if (got == 0)
			break;
		if (got < 0) {
			// EAGAIN: a million objects went by without output; the next read goes on
			// from there.
			if (errno == EAGAIN || errno == EINTR)
				continue;
			ThrowErrno(info.Env(), "readIterator", errno);
		}
		if (static_cast<int64_t>(text.size()) + got > most)
			ThrowErrno(info.Env(), "readIterator", E2BIG);
		text.insert(text.end(), chunk.begin(), chunk.begin() + got);
	}
	return Napi::Buffer<uint8_t>::Copy(info.Env(), text.data(), text.size());
}

} // namespace loopwarden
