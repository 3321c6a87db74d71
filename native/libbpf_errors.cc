// SPDX-License-Identifier: Apache-2.0
// Errors and log of libbpf; the module without libbpf has system_errors.cc in its place.
#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>

#include "errors.h"

namespace loopwarden
{
namespace
{

constexpr size_t kWarningsKept = 4 * 1024;
constexpr size_t kVerifierKept = 16 * 1024;
// The kernel has it, but userspace was never meant to see it, so libc has no name for it.
constexpr int kKernelNotSupported = 524;

thread_local LogCapture *current_capture = nullptr;

const char *LibbpfErrorName(int error)
{
	switch (error) {
	case LIBBPF_ERRNO__LIBELF:
		return "LIBBPF_LIBELF";
	case LIBBPF_ERRNO__FORMAT:
		return "LIBBPF_FORMAT";
	case LIBBPF_ERRNO__KVERSION:
		return "LIBBPF_KVERSION";
	case LIBBPF_ERRNO__ENDIAN:
		return "LIBBPF_ENDIAN";
	case LIBBPF_ERRNO__INTERNAL:
		return "LIBBPF_INTERNAL";
	case LIBBPF_ERRNO__RELOC:
		return "LIBBPF_RELOC";
	case LIBBPF_ERRNO__LOAD:
		return "LIBBPF_LOAD";
	case LIBBPF_ERRNO__VERIFY:
		return "LIBBPF_VERIFY";
	case LIBBPF_ERRNO__PROG2BIG:
		return "LIBBPF_PROG2BIG";
	case LIBBPF_ERRNO__KVER:
		return "LIBBPF_KVER";
	case LIBBPF_ERRNO__PROGTYPE:
		return "LIBBPF_PROGTYPE";
	case LIBBPF_ERRNO__WRNGPID:
		return "LIBBPF_WRNGPID";
	case LIBBPF_ERRNO__INVSEQ:
		return "LIBBPF_INVSEQ";
	case LIBBPF_ERRNO__NLPARSE:
		return "LIBBPF_NLPARSE";
	default:
		return nullptr;
	}
}

void KeepTail(std::string &kept, const char *text, size_t length, size_t limit)
{
	kept.append(text, length);
	if (kept.size() > limit)
		kept.erase(0, kept.size() - limit);
}

// Called from C: nothing may be thrown through libbpf's frames.
int Print(enum libbpf_print_level level, const char *format, va_list arguments) noexcept
{
	LogCapture *capture = current_capture;
	if (!capture || level > LIBBPF_WARN)
		return 0;
	va_list again;
	va_copy(again, arguments);
	char brief[1024];
	int length = vsnprintf(brief, sizeof(brief), format, arguments);
	if (length >= 0 && static_cast<size_t>(length) < sizeof(brief)) {
		capture->Append(brief, length);
	} else if (length > 0) {
		// A verifier's log: up to 16 MiB.
		char *whole = new (std::nothrow) char[length + 1];
		if (whole) {
			vsnprintf(whole, length + 1, format, again);
			capture->Append(whole, length);
			delete[] whole;
		}
	}
	va_end(again);
	return 0;
}

} // namespace

std::string ErrorName(int error)
{
	if (error == kKernelNotSupported)
		return "ENOTSUPP";
	const char *name =
	    error >= __LIBBPF_ERRNO__START ? LibbpfErrorName(error) : strerrorname_np(error);
	return name ? name : "E" + std::to_string(error);
}

std::string ErrorText(int error)
{
	char text[128];
	libbpf_strerror(error, text, sizeof(text));
	return text;
}

void LogCapture::Install()
{
	libbpf_set_print(Print);
}

LogCapture::LogCapture() : outer_(current_capture)
{
	current_capture = this;
}

LogCapture::~LogCapture()
{
	current_capture = outer_;
}

void LogCapture::Append(const char *text, size_t length)
{
	static constexpr char kBegin[] = "-- BEGIN PROG LOAD LOG --\n";
	static constexpr char kEnd[] = "-- END PROG LOAD LOG --";
	try {
		const char *begin =
		    static_cast<const char *>(memmem(text, length, kBegin, sizeof(kBegin) - 1));
		if (!begin) {
			KeepTail(warnings_, text, length, kWarningsKept);
			return;
		}
		begin += sizeof(kBegin) - 1;
		size_t size = text + length - begin;
		const char *end =
		    static_cast<const char *>(memmem(begin, size, kEnd, sizeof(kEnd) - 1));
		KeepTail(verifier_, begin, end ? end - begin : size, kVerifierKept);
	} catch (const std::bad_alloc &) {
		// A log is a help, never a reason to fail.
	}
}

std::string LogCapture::Text() const
{
	return warnings_ + verifier_;
}

} // namespace loopwarden
