// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_LINK_H
#define LOOPWARDEN_LINK_H

#include <linux/bpf.h>

#include <cstdint>
#include <string>

#include "unique_fd.h"
#include "wrapped.h"

struct bpf_link;

namespace loopwarden
{

// Either libbpf's link, or the kernel's alone when its program's object is no longer open.
class LinkState
{
      public:
	explicit LinkState(struct bpf_link *link);
	explicit LinkState(UniqueFd fd) : fd_(std::move(fd))
	{
	}
	~LinkState();

	int Fd() const;

	std::string pin_path;

      private:
	struct bpf_link *link_ = nullptr;
	UniqueFd fd_;
};

class Link : public Wrapped<Link, LinkState>
{
      public:
	static constexpr char kName[] = "BpfLink";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value OpenPinned(const Napi::CallbackInfo &info);

      private:
	struct bpf_link_info About(Napi::Env env, const char *operation);
	Napi::Value Id(const Napi::CallbackInfo &info);
	Napi::Value ProgramId(const Napi::CallbackInfo &info);
	Napi::Value Pin(const Napi::CallbackInfo &info);
	Napi::Value Unpin(const Napi::CallbackInfo &info);
	Napi::Value ReadIterator(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
