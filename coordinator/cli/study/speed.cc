// See speed.h. The least squares are solved for every subset of the three parts, which is the exact answer to "none
// negative" where there are so few (Lawson and Hanson 1974, chapter 23).
#include "coordinator/cli/study/speed.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <queue>

#include "coordinator/cli/print/printer.h"
#include "proto/config/model_flops.h"

namespace sink::cli {
namespace {

constexpr int kParts = 3;            // products, passes, start: the order in which equal fits are preferred
constexpr double kSingular = 1e-10;  // of a determinant of columns of length 1: columns that say the same
constexpr double kBetter = 0.999;    // of the error: more parts must earn their place
constexpr double kSame = 1e-12;      // by which errors of fits as good as each other differ
constexpr double kForward = 1.0 / 3;

using Row = std::array<double, kParts>;

Row RowOf(const Work& work) { return {work.flops, work.passes, 1}; }

// Solves the normal equations of the columns in `used` (a bit each) for right-hand sides of 1. Nothing where they are
// singular or a part would be negative.
std::optional<Row> Solve(const std::vector<Row>& rows, unsigned used) {
  std::vector<int> columns;
  for (int i = 0; i < kParts; ++i)
    if (used >> i & 1) columns.push_back(i);
  const int n = static_cast<int>(columns.size());
  std::array<double, kParts> length{};
  for (const Row& row : rows)
    for (int i = 0; i < n; ++i) length[i] += row[columns[i]] * row[columns[i]];
  std::array<std::array<double, kParts + 1>, kParts> a{};
  for (int i = 0; i < n; ++i) {
    if (!(length[i] > 0)) return std::nullopt;
    length[i] = std::sqrt(length[i]);
  }
  for (const Row& row : rows)
    for (int i = 0; i < n; ++i) {
      const double x = row[columns[i]] / length[i];
      for (int j = 0; j < n; ++j) a[i][j] += x * row[columns[j]] / length[j];
      a[i][n] += x;
    }
  for (int k = 0; k < n; ++k) {  // the matrix is positive definite: no pivoting
    if (!(a[k][k] > kSingular)) return std::nullopt;
    for (int i = k + 1; i < n; ++i) {
      const double factor = a[i][k] / a[k][k];
      for (int j = k; j <= n; ++j) a[i][j] -= factor * a[k][j];
    }
  }
  Row parts{};
  for (int i = n; i-- > 0;) {
    double value = a[i][n];
    for (int j = i + 1; j < n; ++j) value -= a[i][j] * parts[columns[j]] * length[j];
    parts[columns[i]] = value / a[i][i] / length[i];
    if (!(parts[columns[i]] >= 0)) return std::nullopt;
  }
  return parts;
}

double MeanSquare(const std::vector<Row>& rows, const Row& parts) {
  double sum = 0;
  for (const Row& row : rows) {
    double miss = -1;
    for (int i = 0; i < kParts; ++i) miss += row[i] * parts[i];
    sum += miss * miss;
  }
  return sum / static_cast<double>(rows.size());
}

}  // namespace

Work WorkOf(const JobConfig& config) {
  const auto of_tokens = [&config](double tokens, int64_t length) {
    return tokens * TrainingFlops(config.model, length).causal;
  };
  const auto& train = config.train;
  const auto& eval = config.eval;
  const double steps = static_cast<double>(train.max_steps);
  const double micro =
      static_cast<double>(train.micro_batch_size > 0 ? train.micro_batch_size : train.global_batch_size);
  const double sequences = steps * static_cast<double>(train.global_batch_size);
  const double measurements = 1 + std::ceil(steps / static_cast<double>(eval.every));  // the first and the last, too
  const double probes = static_cast<double>(eval.sequences), held_out = static_cast<double>(eval.validation_sequences);

  Work work;
  work.flops = of_tokens(sequences * static_cast<double>(train.sequence_length), train.sequence_length) +
               kForward * measurements *
                   (of_tokens(probes * static_cast<double>(eval.tokens), eval.tokens) +
                    of_tokens(held_out * static_cast<double>(train.sequence_length), train.sequence_length));
  work.passes = static_cast<double>(config.model.num_hidden_layers) *
                (sequences + kForward * measurements * (probes + held_out)) / micro;
  return work;
}

double Seconds(const Speed& speed, const Work& work) {
  return speed.start_s + speed.s_per_flop * work.flops + speed.s_per_pass * work.passes;
}

absl::StatusOr<Speed> FitSpeed(const std::vector<Timed>& jobs) {
  std::vector<Row> rows;  // divided by what was measured, so that each should come to 1
  for (const Timed& job : jobs) {
    if (!(job.seconds > 0)) continue;
    Row row = RowOf(job.work);
    for (double& value : row) value /= job.seconds;
    rows.push_back(row);
  }
  double least = std::numeric_limits<double>::infinity();
  Row best{};
  for (const unsigned used : {1u, 2u, 3u, 5u, 6u, 7u}) {  // one part, then two, then three; never the start alone
    const std::optional<Row> parts = rows.empty() ? std::nullopt : Solve(rows, used);
    if (!parts) continue;
    const double error = MeanSquare(rows, *parts);
    if (error >= kBetter * least - kSame) continue;
    least = error;
    best = *parts;
  }
  if (!std::isfinite(least)) return absl::InvalidArgumentError("no job has ended whose time tells anything");
  return Speed{.start_s = best[2],
               .s_per_flop = best[0],
               .s_per_pass = best[1],
               .jobs = static_cast<int>(rows.size()),
               .typical_miss = std::sqrt(least)};
}

std::string PrintSpeed(const Speed& speed) {
  const Json document = {
      {"schema", "sink/speed/v1"},      {"start_s", speed.start_s}, {"s_per_flop", speed.s_per_flop},
      {"s_per_pass", speed.s_per_pass}, {"jobs", speed.jobs},       {"typical_miss", speed.typical_miss}};
  return document.dump(2) + "\n";
}

absl::StatusOr<Speed> ParseSpeed(const std::string& text) {
  const Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const absl::Status wrong = absl::InvalidArgumentError("not what `sinkctl calibrate --out` writes");
  if (!document.is_object() || document.value("schema", Json()) != "sink/speed/v1") return wrong;
  Speed speed;
  const std::pair<const char*, double*> numbers[] = {{"start_s", &speed.start_s},
                                                     {"s_per_flop", &speed.s_per_flop},
                                                     {"s_per_pass", &speed.s_per_pass},
                                                     {"typical_miss", &speed.typical_miss}};
  for (const auto& [name, number] : numbers) {
    const auto found = document.find(name);
    if (found == document.end() || !found->is_number() || !(found->get<double>() >= 0)) return wrong;
    *number = found->get<double>();
  }
  const auto jobs = document.find("jobs");
  if (jobs == document.end() || !jobs->is_number_unsigned()) return wrong;
  speed.jobs = jobs->get<int>();
  return speed;
}

double Makespan(const std::vector<double>& seconds, int slots) {
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (int i = 0; i < std::max(slots, 1); ++i) free_at.push(0);
  double end = 0;
  for (const double job : seconds) {
    const double done = free_at.top() + job;
    free_at.pop();
    free_at.push(done);
    end = std::max(end, done);
  }
  return end;
}

}  // namespace sink::cli
