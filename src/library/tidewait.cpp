// SPDX-License-Identifier: BSL-1.0
//
// The definitions that <tidewait/detail/compiled.hpp> speaks of.
#include <tidewait/detail/compiled.hpp>

#ifdef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/bind_journal.hpp>
#include <tidewait/detail/impl/bound_by_this_test.hpp>
#include <tidewait/detail/impl/bound_socket.hpp>
#include <tidewait/detail/impl/diagnosis.hpp>
#include <tidewait/detail/impl/endpoint.hpp>
#include <tidewait/detail/impl/explain_bind.hpp>
#include <tidewait/detail/impl/explain_unix_bind.hpp>
#include <tidewait/detail/impl/journal.hpp>
#include <tidewait/detail/impl/listen_fds.hpp>
#include <tidewait/detail/impl/policy.hpp>
#include <tidewait/detail/impl/policy_file.hpp>
#include <tidewait/detail/impl/policy_text.hpp>
#include <tidewait/detail/impl/port_lease.hpp>
#include <tidewait/detail/impl/program_end.hpp>
#include <tidewait/detail/impl/report.hpp>
#include <tidewait/detail/impl/sectioned_test.hpp>
#include <tidewait/detail/impl/socket_path_lease.hpp>
#include <tidewait/detail/impl/socket_table.hpp>
#include <tidewait/detail/impl/unix_diagnosis.hpp>
#include <tidewait/detail/impl/unix_report.hpp>
#include <tidewait/detail/impl/wait_until.hpp>
#include <tidewait/detail/impl/watch.hpp>
#include <tidewait/detail/impl/why_not_free.hpp>
#endif
