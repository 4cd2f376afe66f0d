#include "model/eval/layer_progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace sink {
namespace {

using std::chrono::steady_clock;

bool CanRedraw() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && !(terminal != nullptr && std::string_view(terminal) == "dumb");
}

bool WantsColor() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

}  // namespace

std::string LayerLine(int64_t done, int64_t all, double seconds, bool color) {
  constexpr int64_t kWidth = 20;
  const int64_t filled = std::clamp<int64_t>(done * kWidth / std::max<int64_t>(all, 1), 0, kWidth);
  const auto left = static_cast<long long>(seconds / static_cast<double>(std::max<int64_t>(done, 1)) *
                                           static_cast<double>(all - done));
  char eta[32];
  std::snprintf(eta, sizeof(eta), "%lld:%02lld", left / 60, left % 60);
  const std::string bar(static_cast<size_t>(filled), '#'), rest(static_cast<size_t>(kWidth - filled), ' ');
  return "layer " + std::to_string(done) + "/" + std::to_string(all) + " [" + (color ? "\033[32m" : "") + bar +
         (color ? "\033[0m" : "") + rest + "] ETA " + eta;
}

LayerProgress::LayerProgress() : terminal_(CanRedraw()), color_(WantsColor()), start_(steady_clock::now()) {}

LayerProgress::~LayerProgress() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

void LayerProgress::Update(int64_t done, int64_t all) {
  if (!terminal_) return;
  const double seconds = std::chrono::duration<double>(steady_clock::now() - start_).count();
  std::fprintf(stderr, "\r%s\033[K", LayerLine(done, all, seconds, color_).c_str());
}

}  // namespace sink
