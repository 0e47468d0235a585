// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/text.hpp>

#include "command.hpp"

namespace tidewait::command {

/// Prints the text and begins anew, so that a long output takes little memory.
inline void print_if_long(output& out) {
  constexpr std::size_t is_long = std::size_t{64} << 10U;
  if (out.text().size() < is_long) return;
  print(out);
  out = {};
}

/// A table of many rows: its cells stand in one text.
class long_table {
 public:
  explicit long_table(const std::vector<std::string_view>& header) : widths_(header.size()) {
    for (const std::string_view title : header) add(title);
  }

  void reserve(std::size_t rows) {
    cells_.reserve((rows + 1) * widths_.size());
    constexpr std::size_t usual_row = 100;
    text_.reserve((rows + 1) * usual_row);
  }

  /// The next cell; a row is full after as many as the header has.
  void add(std::string_view cell) {
    if (cell.empty()) cell = "-";
    const auto width = static_cast<std::uint32_t>(detail::columns(cell));
    std::uint32_t& widest = widths_[cells_.size() % widths_.size()];
    widest = std::max(widest, width);
    text_ += cell;
    cells_.push_back({static_cast<std::uint32_t>(cell.size()), width});
  }

  /// Prints one line per row; `decorated(out, row, column, cell)` adds a cell, and may colour it.
  template <typename Decorate>
  void print_rows(Decorate&& decorated) const {
    output out;
    std::string_view rest = text_;
    std::size_t row = 0;
    std::size_t column = 0;
    for (const cell_size& each : cells_) {
      decorated(out, row, column, rest.substr(0, each.bytes));
      rest.remove_prefix(each.bytes);
      if (++column != widths_.size()) {
        out.pad(widths_[column - 1] - each.columns + 2);
        continue;
      }
      out.add("\n");
      column = 0;
      ++row;
      print_if_long(out);
    }
    print(out);
  }

 private:
  struct cell_size {
    std::uint32_t bytes, columns;
  };
  std::vector<std::uint32_t> widths_;
  std::vector<cell_size> cells_;
  std::string text_;
};

}  // namespace tidewait::command
