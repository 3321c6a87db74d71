// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_ERRORS_H
#define LOOPWARDEN_ERRORS_H

#include <napi.h>

#include <string>

namespace loopwarden
{

// Of a positive errno or one of libbpf's own numbers, where libbpf is in.
std::string ErrorName(int error);
std::string ErrorText(int error);

// `error` is a positive errno, or one of libbpf's own numbers from 4000 on. `subject` says of what:
// a path, a name.
[[noreturn]] void ThrowErrno(Napi::Env env, const char *operation, int error,
			     const std::string &subject = "", const std::string &log = "");
// The same with our own reason in place of the errno's text.
[[noreturn]] void ThrowReason(Napi::Env env, const char *operation, int error,
			      const std::string &subject, const std::string &reason);
[[noreturn]] void ThrowClosed(Napi::Env env, const char *method);
[[noreturn]] void ThrowType(Napi::Env env, const std::string &message);
[[noreturn]] void ThrowRange(Napi::Env env, const std::string &message);

// Keeps what libbpf says on this thread while it lives; nothing of libbpf ever reaches stderr.
class LogCapture
{
      public:
	LogCapture();
	~LogCapture();
	LogCapture(const LogCapture &) = delete;
	LogCapture &operator=(const LogCapture &) = delete;

	std::string Text() const;
	void Append(const char *text, size_t length);

	static void Install();

      private:
	LogCapture *outer_;
	std::string warnings_;
	std::string verifier_;
};

} // namespace loopwarden

#endif
