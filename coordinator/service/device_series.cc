// See device_series.h.
#include "coordinator/service/device_series.h"

#include <algorithm>
#include <map>
#include <utility>

namespace sink {
namespace {

constexpr size_t kMaxLabel = 64;
constexpr char kOther[] = "other";

// Of NVIDIA's data sheets, without sparsity; the first word that the kind has decides, so that longer names come first.
struct Peak {
  std::string_view word;
  double flops;
};
constexpr Peak kPeaks[] = {{"H100 PCIe", 756e12}, {"H100 NVL", 835e12}, {"H100", 989e12}, {"H200", 989e12},
                           {"GH200", 989e12},     {"B200", 2250e12},    {"A100", 312e12}, {"L40S", 362e12}};

// Whether `text` has `word` between other characters than letters and digits.
bool HasWord(std::string_view text, std::string_view word) {
  const auto plain = [&](size_t at) {
    return at < text.size() &&
           ((text[at] >= '0' && text[at] <= '9') || ((text[at] | 32) >= 'a' && (text[at] | 32) <= 'z'));
  };
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    if ((at == 0 || !plain(at - 1)) && !plain(at + word.size())) return true;
  }
  return false;
}

void AddGpus(const Worker& worker, Families* families) {
  for (size_t i = 0; i < worker.gpus.size(); ++i) {
    const GpuUse& gpu = worker.gpus[i];
    const Families::Labels labels = {{"worker", worker.name}, {"gpu", std::to_string(i)}};
    const auto memory = [&](const char* state, int64_t bytes) {
      Families::Labels with_state = labels;
      with_state.push_back({"state", state});
      families->Gauge("sink_gpu_memory_bytes",
                      "Memory of a GPU, used by all processes and free, as its driver counts it",
                      static_cast<double>(bytes), std::move(with_state));
    };
    memory("used", gpu.memory_used_bytes);
    memory("free", gpu.memory_bytes - gpu.memory_used_bytes);
    families->Gauge("sink_gpu_busy_ratio",
                    "Share of the driver's last sample, up to a second, in which some kernel ran on a GPU",
                    static_cast<double>(gpu.busy_percent) / 100, labels);
  }
}

}  // namespace

std::string KindLabel(std::string_view kind) {
  const bool printable = std::all_of(kind.begin(), kind.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return printable && !kind.empty() && kind.size() <= kMaxLabel ? std::string(kind) : kOther;
}

double PeakFlops(std::string_view kind) {
  const auto* peak =
      std::find_if(std::begin(kPeaks), std::end(kPeaks), [&](const Peak& entry) { return HasWord(kind, entry.word); });
  return peak == std::end(kPeaks) ? 0 : peak->flops;
}

void AddDevices(const std::vector<Worker>& workers, Families* families) {
  std::map<std::string, std::pair<int, int>> devices;  // kind -> busy, free
  size_t gpus = 0;
  for (const Worker& worker : workers) {
    if (worker.state != WorkerState::kConnected) continue;
    std::string kind = KindLabel(worker.device_kind);
    if (devices.size() >= kMaxKindsShown && devices.count(kind) == 0) kind = kOther;
    auto& [busy, free] = devices[kind];
    free += worker.devices_free;
    busy += worker.devices - worker.devices_free;
    gpus += worker.gpus.size();
    if (gpus <= kMaxGpusShown) AddGpus(worker, families);
  }
  for (const auto& [kind, count] : devices) {
    const char* help = "Devices of connected workers";
    families->Gauge("sink_devices", help, count.first, {{"kind", kind}, {"state", "busy"}});
    families->Gauge("sink_devices", help, count.second, {{"kind", kind}, {"state", "free"}});
  }
}

}  // namespace sink
