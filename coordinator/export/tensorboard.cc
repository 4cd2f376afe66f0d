// TensorBoard's event files; see export.h.
#include <array>
#include <map>
#include <set>

#include "coordinator/export/export.h"
#include "coordinator/job/job_state.h"
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

// A summary that says what the plugin for hyperparameters reads.
void AddHparams(const std::string& tag, const tensorboard::HparamsPluginData& data, tensorboard::Event* event) {
  tensorboard::Summary::Value* value = event->mutable_summary()->add_value();
  value->set_tag("_hparams_/" + tag);
  value->mutable_tensor()->set_dtype(1);
  value->mutable_tensor()->mutable_tensor_shape()->add_dim();  // of size 0
  auto* plugin = value->mutable_metadata()->mutable_plugin_data();
  plugin->set_plugin_name("hparams");
  plugin->set_content(data.SerializeAsString());
}

// What differs between the jobs, seeds left out, so that replicas are alike; of jobs alike, everything.
std::set<std::string> HparamNames(const std::vector<PlacedRun>& jobs) {
  std::map<std::string, std::multiset<std::string>> seen;  // a value a job that has the field
  for (const PlacedRun& job : jobs)
    for (const auto& [name, value] : Fields(job.run->settings)) seen[name].insert(value.dump());
  std::set<std::string> differing, all;
  for (const auto& [name, values] : seen) {
    all.insert(name);
    if (name != "train.seed" && values.count(*values.begin()) < jobs.size()) differing.insert(name);
  }
  return differing.empty() ? all : differing;
}

// SessionEndInfo's status.
int SessionStatus(const std::string& state) {
  constexpr int kUnknown = 0, kSuccess = 1, kFailure = 2, kRunning = 3;
  switch (ParseName<JobState>(state).value_or(JobState::kQueued)) {
    case JobState::kSucceeded:
      return kSuccess;
    case JobState::kFailed:
      return kFailure;
    case JobState::kLeased:
    case JobState::kRunning:
    case JobState::kDisconnected:
    case JobState::kFinalizing:
      return kRunning;
    case JobState::kQueued:
    case JobState::kLost:
    case JobState::kCancelled:
      break;
  }
  return kUnknown;
}

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000; }

std::string SessionStart(const PlacedRun& job, const std::set<std::string>& names) {
  tensorboard::HparamsPluginData data;
  tensorboard::SessionStartInfo* start = data.mutable_session_start_info();
  start->set_start_time_secs(Seconds(job.run->started_ms));
  start->set_group_name(job.experiment + " " + report::ShortLabel(job.setting));
  auto& hparams = *start->mutable_hparams();
  hparams["experiment"].set_string_value(job.experiment);
  if (!job.run->data_content.empty()) hparams["data_content"].set_string_value(job.run->data_content);
  for (const auto& [name, value] : Fields(job.run->settings)) {
    if (!names.contains(name) || value.is_null()) continue;
    if (value.is_boolean())
      hparams[name].set_bool_value(value.get<bool>());
    else if (value.is_number())
      hparams[name].set_number_value(value.get<double>());
    else
      hparams[name].set_string_value(value.is_string() ? value.get<std::string>() : value.dump());
  }
  tensorboard::Event event;
  event.set_wall_time(Seconds(job.run->started_ms));
  AddHparams("session_start_info", data, &event);
  return Frame(event);
}

std::string SessionEnd(const report::Run& run, int64_t end_ms) {
  tensorboard::HparamsPluginData data;
  data.mutable_session_end_info()->set_status(SessionStatus(run.state));
  data.mutable_session_end_info()->set_end_time_secs(Seconds(end_ms));
  tensorboard::Event event;
  event.set_wall_time(Seconds(end_ms));
  AddHparams("session_end_info", data, &event);
  return Frame(event);
}

std::string EventsOf(const report::Study& study, const PlacedRun& job, const std::set<std::string>& hparams) {
  const report::Run& run = *job.run;
  tensorboard::Event first;
  first.set_wall_time(Seconds(run.started_ms));
  first.set_file_version("brain.Event:2");
  std::string out = Frame(first) + SessionStart(job, hparams);

  std::map<int64_t, tensorboard::Event> by_step;
  for (const auto& [name, curve] : run.curves) {
    for (const report::Sample& sample : curve) {
      tensorboard::Summary::Value* value = by_step[sample.step].mutable_summary()->add_value();
      value->set_tag(name);
      value->set_simple_value(static_cast<float>(sample.value));
    }
  }
  for (auto& [step, event] : by_step) {
    event.set_step(step);
    event.set_wall_time(Seconds(PointTimeMs(study, run, step)));
    out += Frame(event);
  }
  return out + SessionEnd(run, EndMs(study, run));
}

// A folder's name, which TensorBoard shows: letters that a file system or a URL minds become "_".
std::string FolderName(const std::string& text) {
  std::string out;
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                       c == '_' || c == '-' || c == '=';
    out += plain && !(c == '.' && out.empty()) ? c : '_';  // no hidden folder, and none that leads upwards
  }
  return out.substr(0, 120);
}

}  // namespace

std::vector<OutputFile> ToTensorBoard(const report::Study& study) {
  std::vector<OutputFile> files;
  const std::vector<PlacedRun> jobs = Jobs(study);
  const std::set<std::string> hparams = HparamNames(jobs);
  for (const PlacedRun& job : jobs) {
    const std::string folder =
        FolderName(job.experiment) + "/" + FolderName(report::ShortLabel(job.label)) + "-" + job.run->id.substr(0, 8);
    files.push_back({folder + "/events.out.tfevents." + std::to_string(job.run->started_ms / 1000) + ".sink",
                     EventsOf(study, job, hparams)});
  }
  return files;
}

}  // namespace sink::exports
