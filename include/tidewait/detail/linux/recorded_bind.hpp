// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <tidewait/bind.hpp>
#include <tidewait/detail/linux/bind_ring.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// An address of IPv4 or IPv6; nothing for another.
inline std::optional<endpoint> endpoint_of(const unsigned char* bytes, std::size_t size) noexcept {
  sa_family_t family = AF_UNSPEC;
  if (size >= sizeof family) std::memcpy(&family, bytes, sizeof family);
  if (family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in four{};
    std::memcpy(&four, bytes, sizeof four);
    ip_address::v4_bytes address{};
    std::memcpy(address.data(), &four.sin_addr, address.size());
    return endpoint{ip_address{address}, ntohs(four.sin_port)};
  }
  constexpr std::size_t shortest_v6 = 24;  // SIN6_LEN_RFC2133: without a scope
  if (family == AF_INET6 && size >= shortest_v6) {
    sockaddr_in6 six{};
    std::memcpy(&six, bytes, std::min(size, sizeof six));
    ip_address::v6_bytes address{};
    std::memcpy(address.data(), &six.sin6_addr, address.size());
    return endpoint{ip_address{address, six.sin6_scope_id}, ntohs(six.sin6_port)};
  }
  return std::nullopt;
}

/// Of a Unix socket, '@' in front of an abstract name; empty for another, and for one without a
/// name.
inline std::string path_of(const unsigned char* bytes, std::size_t size) {
  sa_family_t family = AF_UNSPEC;
  constexpr std::size_t start = offsetof(sockaddr_un, sun_path);
  if (size >= sizeof family) std::memcpy(&family, bytes, sizeof family);
  if (family != AF_UNIX || size <= start) return {};
  std::string path{reinterpret_cast<const char*>(bytes) + start, size - start};
  if (path.front() == '\0') return '@' + path.substr(1);
  return path.substr(0, path.find('\0'));
}

inline bind_record to_record(const raw_bind& raw, bool whole_stack) {
  using namespace std::chrono;
  bind_record record;
  record.time =
      system_clock::time_point{duration_cast<system_clock::duration>(nanoseconds{raw.nanoseconds})};
  record.pid = raw.pid;
  record.thread = raw.thread;
  record.fd = raw.fd;
  record.asked = endpoint_of(raw.asked.data(), raw.asked_size);
  record.got = endpoint_of(raw.got.data(), raw.got_size);
  record.path = path_of(raw.asked.data(), raw.asked_size);
  if (record.path.empty()) record.path = path_of(raw.got.data(), raw.got_size);
  if (record.asked || record.got) {
    constexpr int multipath_tcp = 262;  // IPPROTO_MPTCP; the kernel has it in the tables of TCP
    if (raw.protocol == IPPROTO_TCP || raw.protocol == multipath_tcp) record.kind = bound_kind::tcp;
    if (raw.protocol == IPPROTO_UDP) record.kind = bound_kind::udp;
  } else if (!record.path.empty()) {
    record.kind = bound_kind::local;
  }
  record.listening = raw.call == socket_call::listen && raw.error == 0;
  record.kernel_chose_port = record.asked ? record.asked->port == 0 : record.listening;
  record.reuse_address = raw.reuse_address;
  record.reuse_port = raw.reuse_port;
  record.ipv6_only = raw.v6only ? ipv6_only::yes : ipv6_only::no;
  record.cookie = raw.cookie;
  record.net_cookie = raw.net_cookie;
  if (raw.error != 0) record.error = {raw.error, std::system_category()};
  for (std::size_t i = 0; i < raw.stack.size; ++i) {
    code_place place;
    place.offset = raw.stack.frames[i];  // an address, until `name_places` has found the module
    record.stack.push_back(std::move(place));
  }
  record.whole_stack = whole_stack;
  return record;
}

/// Whether a record is of the bind(2) of the socket with which listen(2) was called. The descriptor
/// may have been closed and used again: the cookie is the socket's. Where there is none, as under
/// qemu-user, the name has to be the same as well.
inline bool is_same_socket(const bind_record& bound, const raw_bind& listen) {
  if (bound.error || bound.cookie != listen.cookie) return false;
  if (listen.cookie != 0) return true;
  return bound.pid == listen.pid && bound.fd == listen.fd &&
         bound.got == endpoint_of(listen.got.data(), listen.got_size) &&
         (bound.got || bound.path == path_of(listen.got.data(), listen.got_size));
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
