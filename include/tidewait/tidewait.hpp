// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/bind_journal.hpp>
#include <tidewait/bound_socket.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/error.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/explain_unix_bind.hpp>
#include <tidewait/journal.hpp>
#include <tidewait/listen_fds.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/process.hpp>
#include <tidewait/report.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/socket_path_lease.hpp>
#include <tidewait/socket_table.hpp>
#include <tidewait/source_location.hpp>
#include <tidewait/unix_diagnosis.hpp>
#include <tidewait/unix_entry.hpp>
#include <tidewait/version.hpp>
#include <tidewait/visibility.hpp>
#include <tidewait/wait_until.hpp>
#include <tidewait/watch.hpp>
