// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "tidewait.hpp"

/// A listener on a leased port, which nothing stops but stop().
class server {
 public:
  explicit server(const tidewait::port_lease& port);
  void stop() const;

 private:
  int listener_;
};
