// See incomplete_copy.h.
#include "worker/incomplete_copy.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "worker/valid_utf8.h"

namespace sink::worker {
namespace {

constexpr size_t kMaxGapBytes = 512;

}  // namespace

v1::IncompleteCopy IncompleteCopyOf(const std::string& root, const std::string& name, const std::string& gap,
                                    v1::CopyUse use) {
  const std::string text = LogText(absl::StrReplaceAll(gap, {{absl::StrCat(root, "/"), ""}}));
  v1::IncompleteCopy copy;
  copy.set_name(name);
  copy.set_gap(ValidUtf8(std::string_view(text).substr(0, kMaxGapBytes)));
  copy.set_use(use);
  return copy;
}

}  // namespace sink::worker
