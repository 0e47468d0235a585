// SPDX-License-Identifier: BSL-1.0
//
// Servers out of libraries: each test leaves a listener on its port, and the library binds it. The
// libraries are opened, not linked; a test whose library is not installed is skipped.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#ifdef SELFTEST_ASIO
#include <boost/asio.hpp>
#endif

namespace {

constexpr std::uint16_t port = 20000;

sockaddr_in loopback() {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(port);
  return where;
}

/// A library that stays open.
class library {
 public:
  explicit library(const char* name, int flags = 0)
      : handle_{::dlopen(name, RTLD_NOW | RTLD_LOCAL | flags)} {}
  bool is_there() const { return handle_ != nullptr; }

  template <typename Result, typename... Arguments>
  Result call(const char* name, Arguments... arguments) const {
    void* const found = ::dlsym(handle_, name);
    EXPECT_NE(found, nullptr) << name;
    Result (*function)(Arguments...) = nullptr;
    std::memcpy(&function, &found, sizeof function);
    return function(arguments...);
  }

 private:
  void* handle_;
};

TEST(Library, Plugin) {
  const library plugin{SELFTEST_PLUGIN};
  ASSERT_TRUE(plugin.is_there()) << ::dlerror();
  EXPECT_GE(plugin.call<int>("plugin_serve", port), 0);
}

TEST(Library, DeepBoundPlugin) {
  const library plugin{SELFTEST_PLUGIN, RTLD_DEEPBIND};
  ASSERT_TRUE(plugin.is_there()) << ::dlerror();
  EXPECT_GE(plugin.call<int>("plugin_serve", port), 0);
}

TEST(Library, ZeroMq) {
  const library zmq{"libzmq.so.5"};
  if (!zmq.is_there()) GTEST_SKIP() << ::dlerror();
  constexpr int reply = 4;  // ZMQ_REP
  auto* const context = zmq.call<void*>("zmq_ctx_new");
  auto* const socket = zmq.call<void*>("zmq_socket", context, reply);
  const std::string where = "tcp://127.0.0.1:" + std::to_string(port);
  EXPECT_EQ(zmq.call<int>("zmq_bind", socket, where.c_str()), 0);
}

TEST(Library, Uv) {
  const library uv{"libuv.so.1"};
  if (!uv.is_there()) GTEST_SKIP() << ::dlerror();
  constexpr int tcp = 12;  // UV_TCP
  auto* const loop = uv.call<void*>("uv_default_loop");
  void* const server = std::calloc(1, uv.call<std::size_t>("uv_handle_size", tcp));
  const sockaddr_in where = loopback();
  using callback = void (*)(void*, int);
  EXPECT_EQ(uv.call<int>("uv_tcp_init", loop, server), 0);
  EXPECT_EQ(uv.call<int>("uv_tcp_bind", server, reinterpret_cast<const sockaddr*>(&where), 0U), 0);
  EXPECT_EQ(uv.call<int>("uv_listen", server, 16, callback{[](void*, int) {}}), 0);
}

TEST(Library, Event) {
  const library event{"libevent-2.1.so.7"};
  if (!event.is_there()) GTEST_SKIP() << ::dlerror();
  auto* const base = event.call<void*>("event_base_new");
  const sockaddr_in where = loopback();
  using callback = void (*)(void*, int, sockaddr*, int, void*);
  EXPECT_NE(event.call<void*>(
                "evconnlistener_new_bind", base, callback{[](void*, int, sockaddr*, int, void*) {}},
                static_cast<void*>(nullptr), 0U, 16, reinterpret_cast<const sockaddr*>(&where),
                static_cast<int>(sizeof where)),
            nullptr);
}

TEST(Library, Asio) {
#ifdef SELFTEST_ASIO
  using boost::asio::ip::tcp;
  static boost::asio::io_context context;
  new tcp::acceptor{context, tcp::endpoint{boost::asio::ip::address_v4::loopback(), port}};
#else
  GTEST_SKIP() << "no Boost";
#endif
}

}  // namespace
