// SPDX-License-Identifier: Apache-2.0
#include "ring_reader.h"

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "arguments.h"
#include "bpf_fd.h"
#include "errors.h"
#include "map.h"
#include "unique_fd.h"
#include "uv_poll.h"

namespace loopwarden
{

constexpr char RingReader::kName[];
const napi_type_tag RingReader::kTag = {0x6c6f6f7077617264, 0x656e000000000007};

namespace
{

constexpr size_t kBatchBytes = 1 << 20;

// Records as they are handed over: length, padding, bytes up to a multiple of 8.
struct Batch {
	std::vector<uint8_t> bytes;
	uint32_t count = 0;

	static size_t Needed(size_t size)
	{
		return 8 + (size + 7) / 8 * 8;
	}
	void Append(const void *record, uint32_t size)
	{
		size_t at = bytes.size();
		bytes.resize(at + Needed(size));
		memcpy(bytes.data() + at, &size, sizeof(size));
		memcpy(bytes.data() + at + 8, record, size);
		count++;
	}
};

// A view of the ring's positions; libbpf tells them from 1.3 on only.
class RingPositions
{
      public:
	int Map(int fd)
	{
		page_ = sysconf(_SC_PAGESIZE);
		consumer_ = mmap(nullptr, page_, PROT_READ, MAP_SHARED, fd, 0);
		if (consumer_ == MAP_FAILED)
			return errno;
		producer_ = mmap(nullptr, page_, PROT_READ, MAP_SHARED, fd, page_);
		return producer_ == MAP_FAILED ? errno : 0;
	}
	~RingPositions()
	{
		if (consumer_ != MAP_FAILED)
			munmap(consumer_, page_);
		if (producer_ != MAP_FAILED)
			munmap(producer_, page_);
	}
	uint64_t Consumer() const
	{
		return __atomic_load_n(static_cast<const uint64_t *>(consumer_), __ATOMIC_ACQUIRE);
	}
	uint64_t Producer() const
	{
		return __atomic_load_n(static_cast<const uint64_t *>(producer_), __ATOMIC_ACQUIRE);
	}

      private:
	size_t page_ = 0;
	void *consumer_ = MAP_FAILED;
	void *producer_ = MAP_FAILED;
};

} // namespace

class RingPump : public std::enable_shared_from_this<RingPump>
{
      public:
	RingPump(Napi::Env env, Napi::Function on_batch)
	    : env_(env), on_batch_(Napi::Persistent(on_batch))
	{
	}
	~RingPump()
	{
		ring_buffer__free(ring_);
	}

	void Start(const MapState &map);
	void Close();
	void Unref();
	void Pause();
	void Resume();

	enum class Caller { kEventLoop, kScript };
	// Number of records, or -1 with an exception pending.
	int64_t Pump(Caller caller);

	uint64_t AvailableBytes() const
	{
		return positions_.Producer() - positions_.Consumer();
	}
	uint32_t SizeBytes() const
	{
		return size_;
	}

      private:
	static int OnRecord(void *context, void *data, size_t size) noexcept;
	static void OnReadable(struct uv_poll_s *poll, int status, int events) noexcept;
	static void OnPollClosed(struct uv_handle_s *handle) noexcept;
	static void OnEnvironmentEnds(napi_async_cleanup_hook_handle hook, void *pump) noexcept;

	int Take(const void *data, size_t size);
	bool Deliver(Caller caller, const Batch &batch);
	void RaiseFatal(int error);

	Napi::Env env_;
	Napi::FunctionReference on_batch_;
	std::unique_ptr<Napi::AsyncContext> context_;
	UniqueFd map_;
	RingPositions positions_;
	uint32_t size_ = 0;
	struct ring_buffer *ring_ = nullptr;
	struct uv_poll_s *poll_ = nullptr;
	napi_async_cleanup_hook_handle hook_ = nullptr;
	Batch batch_;
	// The record that didn't fit its batch: it opens the next.
	Batch carried_;
	bool closed_ = false;
};

void RingPump::Start(const MapState &map)
{
	map_ = Duplicate(env_, "openRingReader", map.fd.Get());
	size_ = map.max_entries;
	int error = positions_.Map(map_.Get());
	if (error)
		ThrowErrno(env_, "openRingReader", error, map.name);
	{
		LogCapture capture;
		ring_ = ring_buffer__new(map_.Get(), OnRecord, this, nullptr);
		if (!ring_)
			ThrowErrno(env_, "openRingReader", errno, map.name, capture.Text());
	}
	struct uv_loop_s *loop = nullptr;
	if (napi_get_uv_event_loop(env_, &loop) != napi_ok ||
	    strcmp(uv_handle_type_name(kUvPoll), "poll") != 0)
		ThrowReason(env_, "openRingReader", ENOSYS, "", "this Node has another libuv");
	context_ = std::make_unique<Napi::AsyncContext>(env_, "loopwarden:ring");
	poll_ = static_cast<struct uv_poll_s *>(calloc(1, uv_handle_size(kUvPoll)));
	if (!poll_)
		ThrowErrno(env_, "openRingReader", ENOMEM);
	error = uv_poll_init(loop, poll_, ring_buffer__epoll_fd(ring_));
	if (error) {
		free(poll_);
		poll_ = nullptr;
		ThrowErrno(env_, "openRingReader", -error);
	}
	// From here on only OnPollClosed may free the handle, so it keeps the pump.
	uv_handle_set_data(reinterpret_cast<struct uv_handle_s *>(poll_),
			   new std::shared_ptr<RingPump>(shared_from_this()));
	napi_add_async_cleanup_hook(env_, OnEnvironmentEnds, this, &hook_);
	error = uv_poll_start(poll_, kUvReadable, OnReadable);
	if (error) {
		Close();
		ThrowErrno(env_, "openRingReader", -error);
	}
}

void RingPump::Close()
{
	if (closed_)
		return;
	closed_ = true;
	on_batch_.Reset();
	context_.reset();
	if (poll_) {
		uv_poll_stop(poll_);
		uv_close(reinterpret_cast<struct uv_handle_s *>(poll_), OnPollClosed);
		poll_ = nullptr;
	}
}

void RingPump::OnPollClosed(struct uv_handle_s *handle) noexcept
{
	auto *pump = static_cast<std::shared_ptr<RingPump> *>(uv_handle_get_data(handle));
	// Node waits for this before it takes the loop of a worker thread away.
	napi_remove_async_cleanup_hook((*pump)->hook_);
	delete pump;
	free(handle);
}

void RingPump::OnEnvironmentEnds(napi_async_cleanup_hook_handle, void *pump) noexcept
{
	static_cast<RingPump *>(pump)->Close();
}

void RingPump::Unref()
{
	if (poll_)
		uv_unref(reinterpret_cast<struct uv_handle_s *>(poll_));
}

void RingPump::Pause()
{
	if (poll_)
		uv_poll_stop(poll_);
}

void RingPump::Resume()
{
	int error = poll_ ? uv_poll_start(poll_, kUvReadable, OnReadable) : 0;
	if (error)
		ThrowErrno(env_, "resume", -error);
}

void RingPump::OnReadable(struct uv_poll_s *poll, int status, int) noexcept
{
	auto pump = *static_cast<std::shared_ptr<RingPump> *>(
	    uv_handle_get_data(reinterpret_cast<struct uv_handle_s *>(poll)));
	napi_handle_scope scope;
	if (napi_open_handle_scope(pump->env_, &scope) != napi_ok)
		return;
	if (status < 0) {
		uv_poll_stop(poll);
		pump->RaiseFatal(-status);
	} else {
		pump->Pump(Caller::kEventLoop);
	}
	napi_close_handle_scope(pump->env_, scope);
}

void RingPump::RaiseFatal(int error)
{
	try {
		ThrowErrno(env_, "ring", error);
	} catch (const Napi::Error &thrown) {
		napi_fatal_exception(env_, thrown.Value());
	}
}

int RingPump::OnRecord(void *context, void *data, size_t size) noexcept
{
	// Called from C: nothing may be thrown through libbpf's frames.
	try {
		return static_cast<RingPump *>(context)->Take(data, size);
	} catch (const std::exception &) {
		return -ENOMEM;
	}
}

int RingPump::Take(const void *data, size_t size)
{
	if (batch_.count && batch_.bytes.size() + Batch::Needed(size) > kBatchBytes) {
		carried_.Append(data, size);
		// libbpf has already passed over this record and stops here.
		return -ECANCELED;
	}
	batch_.Append(data, size);
	return 0;
}

int64_t RingPump::Pump(Caller caller)
{
	// What was there at the beginning and no more, or a busy producer would never let the event
	// loop go on.
	const uint64_t target = positions_.Producer();
	int64_t total = 0;
	while (!closed_) {
		batch_ = std::exchange(carried_, {});
		int result = 0;
		if (static_cast<int64_t>(target - positions_.Consumer()) > 0)
			result = ring_buffer__consume(ring_);
		Batch batch = std::exchange(batch_, {});
		if (batch.count == 0) {
			if (result < 0 && caller == Caller::kScript)
				ThrowErrno(env_, "drain", -result);
			if (result < 0)
				RaiseFatal(-result);
			break;
		}
		total += batch.count;
		// The callback may close the reader or drain it itself: nothing of ours is under
		// way here.
		if (!Deliver(caller, batch))
			return -1;
	}
	return total;
}

bool RingPump::Deliver(Caller caller, const Batch &batch)
{
	napi_handle_scope scope;
	if (napi_open_handle_scope(env_, &scope) != napi_ok)
		return false;
	napi_value global, arguments[2];
	napi_value callback = on_batch_.Value();
	napi_status status = napi_get_global(env_, &global);
	if (status == napi_ok)
		status = napi_create_buffer_copy(env_, batch.bytes.size(), batch.bytes.data(),
						 nullptr, &arguments[0]);
	if (status == napi_ok)
		status = napi_create_uint32(env_, batch.count, &arguments[1]);
	if (status == napi_ok && caller == Caller::kScript)
		status = napi_call_function(env_, global, callback, 2, arguments, nullptr);
	else if (status == napi_ok)
		status =
		    napi_make_callback(env_, *context_, global, callback, 2, arguments, nullptr);
	// A script that drains gets the exception itself; the event loop has nobody to give it to.
	if (status == napi_pending_exception && caller == Caller::kEventLoop) {
		napi_value thrown;
		if (napi_get_and_clear_last_exception(env_, &thrown) == napi_ok)
			napi_fatal_exception(env_, thrown);
	}
	napi_close_handle_scope(env_, scope);
	return status == napi_ok;
}

RingState::RingState(std::shared_ptr<RingPump> opened) : pump(std::move(opened))
{
}

RingState::~RingState()
{
	pump->Close();
}

void RingReader::Register(Napi::Env env)
{
	Define(env, {
			Call<&RingReader::Drain>("drain"),
			Call<&RingReader::Stats>("stats"),
			Call<&RingReader::Pause>("pause"),
			Call<&RingReader::Resume>("resume"),
			Call<&RingReader::Unreference>("unref"),
		    });
}

Napi::Value RingReader::Open(const Napi::CallbackInfo &info)
{
	MapState &map = Map::Argument(info, 0, "map");
	Napi::Function on_batch = FunctionArgument(info, 1, "onBatch");
	if (map.type != BPF_MAP_TYPE_RINGBUF)
		ThrowReason(info.Env(), "openRingReader", EINVAL, map.name, "not a ring buffer");
	auto pump = std::make_shared<RingPump>(info.Env(), on_batch);
	pump->Start(map);
	Napi::Value reader = Make(info.Env(), std::make_unique<RingState>(pump));
	Of(reader)->StayAlive();
	return reader;
}

Napi::Value RingReader::Drain(const Napi::CallbackInfo &info)
{
	// The callback may close this very reader.
	std::shared_ptr<RingPump> pump = state_->pump;
	int64_t records = pump->Pump(RingPump::Caller::kScript);
	if (records < 0)
		return Napi::Value();
	return Napi::Number::New(info.Env(), static_cast<double>(records));
}

Napi::Value RingReader::Stats(const Napi::CallbackInfo &info)
{
	Napi::Object stats = Napi::Object::New(info.Env());
	stats.Set(
	    "availableBytes",
	    Napi::Number::New(info.Env(), static_cast<double>(state_->pump->AvailableBytes())));
	stats.Set("sizeBytes", Napi::Number::New(info.Env(), state_->pump->SizeBytes()));
	return stats;
}

Napi::Value RingReader::Pause(const Napi::CallbackInfo &info)
{
	state_->pump->Pause();
	return info.Env().Undefined();
}

Napi::Value RingReader::Resume(const Napi::CallbackInfo &info)
{
	state_->pump->Resume();
	return info.Env().Undefined();
}

Napi::Value RingReader::Unreference(const Napi::CallbackInfo &info)
{
	state_->pump->Unref();
	return info.Env().Undefined();
}

} // namespace loopwarden
