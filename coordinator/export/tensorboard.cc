// TensorBoard's event files; see export.h.
#include <array>
#include <map>

#include "coordinator/export/export.h"
#include "tensorboard/event.pb.h"

namespace sink::exports {
namespace {

// CRC-32C (Castagnoli; RFC 3720, appendix B.4), reflected.
uint32_t Crc32c(const std::string& bytes) {
  static const auto table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0);
      made[i] = value;
    }
    return made;
  }();
  uint32_t crc = 0xFFFFFFFF;
  for (unsigned char byte : bytes) crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

std::string LittleEndian(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

// TFRecord's mask: a checksum of data that holds checksums is weak.
std::string MaskedCrc(const std::string& bytes) {
  const uint32_t crc = Crc32c(bytes);
  return LittleEndian(((crc >> 15) | (crc << 17)) + 0xA282EAD8u, 4);
}

std::string Frame(const tensorboard::Event& event) {
  const std::string record = event.SerializeAsString();
  const std::string length = LittleEndian(record.size(), 8);
  return length + MaskedCrc(length) + record + MaskedCrc(record);
}

std::string EventsOf(const report::Run& run) {
  const double begin = static_cast<double>(run.started_ms) / 1000;
  const double duration =
      run.finished_ms > run.started_ms ? static_cast<double>(run.finished_ms - run.started_ms) / 1000 : 0;
  tensorboard::Event first;
  first.set_wall_time(begin);
  first.set_file_version("brain.Event:2");
  std::string out = Frame(first);

  std::map<int64_t, tensorboard::Event> by_step;
  for (const auto& [name, curve] : run.curves) {
    for (const report::Sample& sample : curve) {
      tensorboard::Summary::Value* value = by_step[sample.step].mutable_summary()->add_value();
      value->set_tag(name);
      value->set_simple_value(static_cast<float>(sample.value));
    }
  }
  const double steps = run.max_steps > 0 ? static_cast<double>(run.max_steps) : 1;
  for (auto& [step, event] : by_step) {
    event.set_step(step);
    event.set_wall_time(begin + duration * static_cast<double>(step) / steps);
    out += Frame(event);
  }
  return out;
}

// A folder's name, which TensorBoard shows: letters that a file system or a URL minds become "_".
std::string FolderName(const std::string& text) {
  std::string out;
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                       c == '_' || c == '-' || c == '=';
    out += plain ? c : '_';
  }
  return out.substr(0, 120);
}

}  // namespace

std::vector<OutputFile> ToTensorBoard(const report::Study& study) {
  std::vector<OutputFile> files;
  for (const PlacedRun& job : Jobs(study)) {
    const std::string folder =
        FolderName(job.experiment) + "/" + FolderName(report::ShortLabel(job.label)) + "-" + job.run->id.substr(0, 8);
    files.push_back(
        {folder + "/events.out.tfevents." + std::to_string(job.run->started_ms / 1000) + ".sink", EventsOf(*job.run)});
  }
  return files;
}

}  // namespace sink::exports
