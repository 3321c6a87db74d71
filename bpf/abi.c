// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One global of each type that crosses, so that the BTF of abi.o holds them all: a struct that is
 * only ever reserved in a ring buffer gets no BTF of its own. Compiled for its BTF only; no
 * instruction of it is loaded.
 */
#include "kernel_types.h"
#include "event.h"

enum event_kind abi_event_kind;
enum drop_reason abi_drop_reason;
enum loop_command abi_loop_command;
enum ioctl_result abi_ioctl_result;
enum syscall_arch abi_syscall_arch;
enum uevent_subsystem abi_uevent_subsystem;
enum uevent_action abi_uevent_action;
enum verdict abi_verdict;
enum rule abi_rule;
enum stack_state abi_stack_state;
enum loop_state abi_loop_state;
enum filter_mode abi_filter_mode;
enum hide_scope abi_hide_scope;
enum canary abi_canary;
struct event_header abi_event_header;
struct userns_identity abi_userns_identity;
struct caller abi_caller;
struct loop_config_state abi_loop_config_state;
struct ioctl_event abi_ioctl_event;
struct ioctl_path_event abi_ioctl_path_event;
struct uevent_event abi_uevent_event;
struct lost_cookie abi_lost_cookie;
struct receiver_event abi_receiver_event;
struct receiver_entry abi_receiver_entry;
struct receiver_key abi_receiver_key;
struct process_entry abi_process_entry;
struct namespace_walk abi_namespace_walk;
struct openers_entry abi_openers_entry;
struct aggregate_key abi_aggregate_key;
struct aggregate_entry abi_aggregate_entry;
struct record_budgets abi_record_budgets;
struct userns_entry abi_userns_entry;
struct userns_key abi_userns_key;
struct owner_entry abi_owner_entry;
struct stack_link abi_stack_link;
struct claim_entry abi_claim_entry;
struct call_entry abi_call_entry;
struct inflight_entry abi_inflight_entry;
struct duration_histogram abi_duration_histogram;
struct filter_settings abi_filter_settings;
