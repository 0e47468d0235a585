// SPDX-License-Identifier: BSL-1.0
#pragma once

// The only way to the operating system, for everything outside of a backend. A backend is a folder
// beside this file with an os.hpp of its own, and defines these in `tidewait::detail`:
//
//   read_sockets, find_owners, time_waits     the socket table, and who holds the sockets
//   tables_have_queues, tables_have_users     what else it tells
//   find_keepers                              what keeps a socket that no process holds
//   socket_end_monitor                        when sockets end
//   read_unix_sockets, look_at_unix_name      the same for Unix sockets, and what a bind would say
//   open_descriptors                          whether there can be new ones
//   make_socket_directory ...                 private directories of leased socket paths
//   describe_holders                          what a message adds of the processes that hold them
//   read_restrictions, loopback_is_down ...   what else may keep a bind or a client out
//   bind_socket, bind_whole_port, hold_port   binds that are tried, and sockets that are kept
//   in_private_descriptor_table               so that no fork copies them
//   lock_port, lock_holder                    locks of leased ports
//   read_port_rules, look_up_port_rules       the kernel's rules on port numbers; all of them
//   current_net_namespace, net_cookie ...     which network this is
//   process_id, user_id, this_thread, ...     who we are
//   run_mark, renew_run_mark                  by which processes of this run are known
//   bind_log, name_places, locate_places      the binds that the witness saw, and the code of each
//   find_process_state, at_fork               one state for a process, and its forks
//   append_own_file, read_own_file, clocks    the journal, and the time
//   read_named_file, edit_named_file          files of rules
//
// os_handles.hpp is the part of it that a public header needs: the types of handles. os_words.hpp
// has what messages say of the system.
#include <tidewait/detail/os.hpp>

#if defined(TIDEWAIT_BACKEND)
#include TIDEWAIT_BACKEND  // a test's own
#else
#include TIDEWAIT_OS_BACKEND
#endif
