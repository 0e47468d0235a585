// SPDX-License-Identifier: BSL-1.0
#include "place.hpp"

#include <algorithm>
#include <string_view>

#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/number.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/report.hpp>
#include <tidewait/wait_until.hpp>

namespace tidewait::command {

place read_place(const std::string& text) {
  const auto colon = text.rfind(':');
  const std::string address = text.substr(0, colon);
  const bool in_brackets = text.size() > 2 && text.front() == '[' && text.back() == ']';
  // "::1:80" is an address, but not one that anybody means.
  const bool without_brackets = colon != std::string::npos && parse_address(address).has_value();
  if (in_brackets || (parse_address(text) && !without_brackets)) {
    const std::string whole = in_brackets || colon == std::string::npos ? text : '[' + text + ']';
    throw usage_error{'\'' + text + "' has no port: write " + whole + ":8080"};
  }
  if (colon == std::string::npos) return {{ip_address::any_v6(), read_port(text)}, true};
  const std::string port = std::to_string(read_port(std::string_view{text}.substr(colon + 1)));
  if (const auto local = parse_endpoint(text)) return {*local, false};
  if (parse_address(address)) {
    throw usage_error{"write an IPv6 address in brackets: [" + address + "]:" + port};
  }
  throw usage_error{'\'' + address +
                    "' is not an IP address, and names are not looked up: write 127.0.0.1:" + port +
                    " or [::1]:" + port + ", or " + port + " for any address"};
}

std::string to_text(const place& where) {
  return where.any_address ? "port " + std::to_string(where.local.port) : to_string(where.local);
}

std::chrono::milliseconds read_time(const std::string& text) {
  const auto time = detail::parse_duration(text);
  const bool has_unit = text.find('s') != std::string::npos;
  if (time && !has_unit && time->count() != 0) {
    throw usage_error{'\'' + text + "' has no unit: write " + text + "s or " + text + "ms"};
  }
  if (time) return *time;
  throw usage_error{'\'' + text + "' is not a time: write 250ms or 10s, up to 3600s"};
}

socket_table sockets_at(protocol which, const place& where) {
  socket_query query;
  query.tcp = which == protocol::tcp;
  query.udp = !query.tcp;
  query.ports = {where.local.port};
  query.owners = owner_reach::everyone;
  socket_table table = detail::look_at_sockets(query);
  const auto is_elsewhere = [&](const observed_socket& each) {
    return !where.any_address && !overlap(each.local, each.ipv6_only(), where.local, ipv6_only::no);
  };
  auto& all = table.sockets;
  all.erase(std::remove_if(all.begin(), all.end(), is_elsewhere), all.end());
  return table;
}

bind_explanation explain(protocol which, const place& where) {
  return where.any_address ? explain_port(which, where.local.port)
                           : explain_bind({which, where.local});
}

bind_explanation wait_until_free(protocol which, const place& where,
                                 std::chrono::milliseconds time) {
  return where.any_address ? tidewait::wait_until_free(which, where.local.port, time)
                           : tidewait::wait_until_free(bind_request{which, where.local}, time);
}

output painted(const std::string& report, bool good, const painter& paint) {
  output text;
  if (!paint.paints()) return text.add(report);
  // Its first line says all, the labels lead through the rest.
  for (std::string_view rest = report; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto label = line.find(": ");
    if (line.data() == report.data()) {
      text.add(good ? colour::green : colour::red, line);
    } else if (line.substr(0, 2) == "  " && line.substr(2, 1) != " " &&
               label != std::string_view::npos) {
      text.add(colour::bold, line.substr(0, label + 1)).add(line.substr(label + 1));
    } else {
      text.add(line);
    }
    text.add("\n");
  }
  return text;
}

output to_text(const diagnosis& why, const visibility& seen, const painter& paint) {
  return painted(render(why, seen), why.free(), paint);
}

}  // namespace tidewait::command
