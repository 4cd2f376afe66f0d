// The files of coordinator/web/page, which travel in the program. Constants; any thread.
#pragma once

#include <span>
#include <string_view>

namespace sink::web {

struct PageFile {
  std::string_view name;  // "index.html"
  std::string_view text;
};

// By name. Defined in a source that CMake generates.
std::span<const PageFile> PageFiles();

}  // namespace sink::web
