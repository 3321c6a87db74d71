// SPDX-License-Identifier: Apache-2.0
/*
 * The few functions of libuv that are used. Node exports them, but neither Debian nor npm ships its
 * uv.h beside node_api.h. No layout is copied: handles are opaque and their size is asked for at
 * run time.
 */
#ifndef LOOPWARDEN_UV_POLL_H
#define LOOPWARDEN_UV_POLL_H

#include <cstddef>

extern "C" {

struct uv_loop_s;
struct uv_handle_s;
struct uv_poll_s;
typedef void (*uv_close_cb)(struct uv_handle_s *handle);
typedef void (*uv_poll_cb)(struct uv_poll_s *handle, int status, int events);

size_t uv_handle_size(int type);
const char *uv_handle_type_name(int type);
void *uv_handle_get_data(const struct uv_handle_s *handle);
void uv_handle_set_data(struct uv_handle_s *handle, void *data);
int uv_is_active(const struct uv_handle_s *handle);
void uv_unref(struct uv_handle_s *handle);
void uv_close(struct uv_handle_s *handle, uv_close_cb on_close);
int uv_poll_init(struct uv_loop_s *loop, struct uv_poll_s *handle, int fd);
int uv_poll_start(struct uv_poll_s *handle, int events, uv_poll_cb on_event);
int uv_poll_stop(struct uv_poll_s *handle);
}

namespace loopwarden
{

// UV_POLL and UV_READABLE, fixed within libuv 1; the name is checked before use.
constexpr int kUvPoll = 8;
constexpr int kUvReadable = 1;

} // namespace loopwarden

#endif
