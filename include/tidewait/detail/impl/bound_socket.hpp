// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <system_error>

#include <tidewait/bound_socket.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/shared_state.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE bound_socket::bound_socket(const bind_request& request, reuse options) {
  std::error_code error;
  fd_ = detail::bind_socket(request, options, error, false);
  if (!error) local_ = detail::local_endpoint(fd_.get(), error);
  if (error) fail("binding ", request, error);
  detail::note_bind(detail::shared_state::instance().binds, fd_.get(), request);
}

TIDEWAIT_INLINE void bound_socket::fail(const char* doing, const bind_request& request,
                                        const std::error_code& error) {
  std::string cause;
  if (error == std::errc::address_in_use) {
    cause = "run `tidewait why " + to_string(request.local) + "` to see what holds it";
  } else if (error == std::errc::address_not_available) {
    cause = std::string{"no interface of "} + detail::this_network + " has the address";
  } else if (error == std::errc::permission_denied) {
    cause = detail::low_ports_need;
  }
  throw lease_error{error, doing + to_string(request.local), cause};
}

TIDEWAIT_INLINE listening_socket::listening_socket(const endpoint& local, int backlog,
                                                   reuse options)
    : bound_socket{bind_request{protocol::tcp, local}, options} {
  if (const auto error = detail::listen_on(native_handle(), backlog)) {
    fail("listening on ", {protocol::tcp, this->local()}, error);
  }
  detail::note_listen(detail::shared_state::instance().binds, native_handle());
}

}  // namespace v0
}  // namespace tidewait
