// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include <tidewait/detail/linux/bind_socket.hpp>
#include <tidewait/detail/linux/bind_witness.hpp>
#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/descriptor_table.hpp>
#include <tidewait/detail/linux/edited_file.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/fork_handlers.hpp>
#include <tidewait/detail/linux/holder_facts.hpp>
#include <tidewait/detail/linux/keeper_search.hpp>
#include <tidewait/detail/linux/kept_fd.hpp>
#include <tidewait/detail/linux/listen_descriptors.hpp>
#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/detail/linux/port_range.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/process_state.hpp>
#include <tidewait/detail/linux/read_sockets.hpp>
#include <tidewait/detail/linux/restrictions.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/detail/linux/self.hpp>
#include <tidewait/detail/linux/socket_directory.hpp>
#include <tidewait/detail/linux/socket_end_monitor.hpp>
#include <tidewait/detail/linux/symbolizer.hpp>
#include <tidewait/detail/linux/test_context.hpp>
#include <tidewait/detail/linux/unix_sockets.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What a process calls itself, valid UTF-8; empty if it cannot be seen.
inline std::string process_name(int pid) { return read_process_name(open_process(pid).get()); }

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
