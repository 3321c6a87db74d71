// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_UEVENT_SOURCE_H
#define LOOPWARDEN_UEVENT_SOURCE_H

#include <memory>

#include "wrapped.h"

namespace loopwarden
{

class SourcePump;

struct SourceState {
	explicit SourceState(std::shared_ptr<SourcePump> started);
	~SourceState();

	std::shared_ptr<SourcePump> pump;
};

// A uevent socket in the host's network namespace that a container's user namespace has opened: it
// hears of the container's devices, which the filter hides from the host's own, and of nobody else's.
class UeventSource : public Wrapped<UeventSource, SourceState>
{
      public:
	static constexpr char kName[] = "UeventSource";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
