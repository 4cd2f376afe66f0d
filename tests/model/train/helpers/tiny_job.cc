#include "tests/model/train/helpers/tiny_job.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"
#include "model/train/link/event_sink.h"
#include "model/train/link/trainer_commands.h"
#include "tests/testing/test_files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kVocabulary = 48;
constexpr int64_t kBlocks = 6;
constexpr int64_t kNoisyRows = 4;  // of 4 * 6 * 32

// Random words of a small fixed dictionary: something to learn, never the same twice.
std::vector<int32_t> MakeTokens(uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens;
  while (tokens.size() < kBlocks * data::kDefaultBlock) {
    const int32_t word = static_cast<int32_t>(random() % 8);
    for (int32_t i = 0; i < 5; ++i) tokens.push_back((word * 7 + i * (word + 2)) % kVocabulary);
  }
  tokens.resize(kBlocks * data::kDefaultBlock);
  return tokens;
}

}  // namespace

TinyJob::TinyJob() {
  config.model = {.hidden_size = 32,
                  .intermediate_size = 48,
                  .num_hidden_layers = 2,
                  .num_attention_heads = 4,
                  .vocab_size = kVocabulary,
                  .max_position_embeddings = 64};
  config.train.learning_rate = 1e-2;
  config.train.min_learning_rate = 1e-3;
  config.train.warmup_steps = 5;
  config.train.max_steps = 40;
  config.train.global_batch_size = 4;
  config.train.micro_batch_size = 2;
  config.train.sequence_length = 64;
  config.train.log_every = 1;
  config.data.set = "tiny";
  config.eval.every = 10;
  config.eval.sequences = 4;
  config.eval.tokens = 32;
  config.eval.positions = 4;
  config.eval.validation_sequences = 4;
  config.checkpoint.every = 17;
  config.checkpoint.keep = 3;

  fs::create_directories(SetFile("train", 0).parent_path());
  for (int i = 0; i < 4; ++i) data::WritePackedFile(SetFile("train", i), data::TokenType::kUint16, MakeTokens(i));
  data::WritePackedFile(SetFile("valid", 0), data::TokenType::kUint16, MakeTokens(99));
}

fs::path TinyJob::SetFile(const std::string& split, int counter) const {
  return dir_.path() / "data" / config.data.set / data::SetFileName(split, "words", 0, counter);
}

void TinyJob::AddNoise() const {
  std::vector<int32_t> tokens = MakeTokens(0);
  std::mt19937 random(0);
  std::generate_n(tokens.begin(), kNoisyRows * 64, [&] { return static_cast<int32_t>(random() % kVocabulary); });
  data::WritePackedFile(SetFile("train", 0), data::TokenType::kUint16, tokens);
}

fs::path TinyJob::MakeRun(const std::string& name) const {
  const fs::path run_dir = dir_.path() / name;
  fs::create_directories(run_dir);
  const nlohmann::json job = {{"job", JobId(config)},
                              {"attempt", 1},
                              {"config", nlohmann::json::parse(PrintJobConfig(config))},
                              {"data_root", (dir_.path() / "data").string()},
                              {"device", "cpu"}};
  testing::WriteFile(run_dir / "job.json", job.dump());
  return run_dir;
}

RunOutcome TinyJob::Train(const fs::path& run_dir, std::vector<pipe::Event>& events) const {
  const fs::path file = run_dir / "events.jsonl";
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  struct AtExit {
    std::function<void()> run;
    ~AtExit() { run(); }
  } const collect{[&] {
    close(fd);
    events = ReadEvents(file);
  }};
  EventSink sink(fd);
  TrainerCommands trainer_commands(commands);
  return Trainer(run_dir, sink, trainer_commands, {}, overlap, snapshot, write).Run();
}

fs::path CheckpointPath(const fs::path& run_dir, int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%09d", static_cast<int>(step));
  return run_dir / "checkpoints" / name;
}

std::vector<std::pair<std::string, double>> Points(const std::vector<pipe::Event>& events) {
  std::map<std::string, double> points;
  const auto add = [&](int64_t step, const std::string& name, double value) {
    const auto [it, added] = points.emplace(std::to_string(step) + " " + name, value);
    EXPECT_EQ(it->second, value) << it->first;
  };
  for (const pipe::Event& event : events) {
    if (const auto* metrics = std::get_if<pipe::Metrics>(&event))
      for (const auto& [name, value] : metrics->values) add(metrics->step, name, value);
    if (const auto* heatmap = std::get_if<pipe::Heatmap>(&event))
      for (size_t i = 0; i < heatmap->values.size(); ++i)
        add(heatmap->step, heatmap->name + " cell " + std::to_string(i), heatmap->values[i]);
  }
  return {points.begin(), points.end()};
}

void ExpectSameBytes(const fs::path& a, const fs::path& b) {
  EXPECT_EQ(testing::HashOf(a), testing::HashOf(b)) << a << " and " << b;
}

void ExpectSameEnd(const TinyJob& job, const fs::path& a, const fs::path& b) {
  for (const char* name : {"model.safetensors", "optimizer.state", "trainer.json"})
    ExpectSameBytes(CheckpointPath(a, job.config.train.max_steps) / name,
                    CheckpointPath(b, job.config.train.max_steps) / name);
}

std::vector<pipe::Event> ReadEvents(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  std::vector<pipe::Event> events;
  std::string line;
  while (std::getline(text, line)) {
    if (text.eof()) break;
    pipe::ParseResult result = pipe::Parse(line);
    EXPECT_TRUE(result.event.has_value()) << result.error << ": " << line;
    if (result.event) events.push_back(*std::move(result.event));
  }
  return events;
}

}  // namespace sink::train
