// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_DATAGRAM_SOCKET_H
#define LOOPWARDEN_DATAGRAM_SOCKET_H

#include <sys/un.h>

#include "unique_fd.h"
#include "wrapped.h"

namespace loopwarden
{

struct DatagramState {
	UniqueFd socket;
	struct sockaddr_un receiver = {};
};

// Sends datagrams to a Unix socket, be anybody there or not: journald's, /dev/log.
class DatagramSocket : public Wrapped<DatagramSocket, DatagramState>
{
      public:
	static constexpr char kName[] = "DatagramSocket";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value Send(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
