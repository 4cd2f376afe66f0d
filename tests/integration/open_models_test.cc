// The sweep over the study's thirty open models through the real programs, on a worker that has three of them: those
// are measured, stored and reported beside the published values; each of the others waits and says for what.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "tests/testing/test_cluster.h"

namespace sink {
namespace {

namespace fs = std::filesystem;
using testing::CommandResult;
using testing::TestCluster;

std::string FromSource(const std::string& file) { return std::string(getenv("SINK_SOURCE_DIR")) + "/" + file; }
std::string Program(const std::string& name) { return std::string(getenv("SINK_BIN_DIR")) + "/" + name; }

// Tiny models of random weights under these names in the cluster's models folder, and texts in its data root.
void MakeModels(TestCluster& cluster, const std::vector<std::string>& names) {
  const std::string tokenizer = cluster.path("tokenizer.json"), all = cluster.path("all");
  const CommandResult trained =
      testing::RunCommand({Program("sink-data"), "train-tokenizer", "--in", cluster.path("corpus"), "--out", tokenizer,
                           "--vocab-size", "300"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const CommandResult made =
      testing::RunCommand({"/usr/bin/env", "python3", FromSource("deploy/stand_in_models.py"), "--tokenizer", tokenizer,
                           "--out", all, FromSource("sweeps/open_models.yaml")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_NE(made.out.find("30 stand-ins"), std::string::npos) << made.out;
  for (const std::string& name : names) {
    fs::create_directories(fs::path(cluster.path("models/" + name)).parent_path());
    fs::rename(all + "/" + name, cluster.path("models/" + name));
  }
  std::ostringstream texts;
  for (int i = 0; i < 100; ++i) {
    texts << R"({"text": ")";
    for (int j = 0; j < 40; ++j) texts << "line " << i * 7919 % 6000 + j << " was written, ";
    texts << "\"}\n";
  }
  testing::WriteFile(cluster.path("data/texts.jsonl"), texts.str());
}

// As the coordinator knows it.
bool AllWorkersHave(TestCluster& cluster, std::vector<std::string> models) {
  std::sort(models.begin(), models.end());
  const nlohmann::json workers = cluster.Sinkctl({"workers", "--json"}).Json()["workers"];
  return !workers.empty() && std::all_of(workers.begin(), workers.end(), [&](const auto& worker) {
    return worker["models"] == nlohmann::json(models);
  });
}

TEST(OpenModels, ThoseThereAreMeasuredAndTheOthersWait) {
  TestCluster cluster;
  const std::vector<std::string> there = {"openai-community/gpt2-xl", "meta-llama/Llama-2-7b-hf", "facebook/opt-125m"};
  MakeModels(cluster, there);
  // Their question may have been asked before, and it waits for half a minute.
  ASSERT_TRUE(testing::WaitFor(90, [&] { return AllWorkersHave(cluster, there); }));
  const CommandResult submitted = cluster.Sinkctl({"submit", FromSource("sweeps/open_models.yaml")});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  EXPECT_NE(submitted.out.find("no connected worker has 27 models"), std::string::npos) << submitted.out;
  const auto measured_all = [&] {
    const auto jobs = cluster.Jobs("open_models");
    return std::count_if(jobs.begin(), jobs.end(),
                         [](const auto& job) { return job.second.value("state", "") == "SUCCEEDED"; }) == 3;
  };
  ASSERT_TRUE(testing::WaitFor(120, measured_all));

  int missing = 0;
  for (const auto& [label, job] : cluster.Jobs("open_models")) {
    if (job.value("state", "") == "SUCCEEDED") {
      const auto metrics = cluster.Metrics(job.value("id", ""));
      for (const char* name :
           {"sink_rate/0.2/1", "sink_rate/0.3/1", "sink_rate/0.3/10", "alpha_max/1", "hidden_norm_ratio/2",
            "massive_activations/all", "value_norm_ratio/1", "validation_loss/all"})
        EXPECT_TRUE(metrics.contains(name)) << label << " " << name;
      EXPECT_EQ(job.value("step", 0), 2) << "the layers";
    } else {
      ++missing;
      const std::string model = label.substr(label.find('=') + 1);
      EXPECT_EQ(job.value("state", ""), "QUEUED") << label;
      EXPECT_EQ(job.value("attempt", -1), 0) << label;
      const std::string why = cluster.Sinkctl({"why", job.value("id", ""), "--json"}).Json()["reasons"].dump();
      EXPECT_NE(why.find("no connected worker has its model " + model), std::string::npos) << why;
    }
  }
  EXPECT_EQ(missing, 27);

  // What the job stored is what sink-eval says of the same folder and texts.
  const std::string label = "evaluate.model=" + there[1];
  const auto metrics = cluster.Metrics(cluster.Jobs("open_models").at(label).value("id", ""));
  const nlohmann::json alone = testing::RunCommand({Program("sink-eval"), cluster.path("models/" + there[1]), "--texts",
                                                    cluster.path("data/texts.jsonl"), "--json"})
                                   .Json();
  EXPECT_NEAR(std::stod(metrics.at("validation_loss/all").rbegin()->second), alone.value("loss", 0.0), 1e-6);
  EXPECT_NEAR(100 * std::stod(metrics.at("sink_rate/0.3/1").rbegin()->second),
              alone["sink_rate_percent"][0].get<double>(), 1e-9);

  const CommandResult report = cluster.Sinkctl({"report", "open_models", "--json"});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  const nlohmann::json rows = report.Json()["experiments"][0]["rows"];
  EXPECT_EQ(rows[3]["measures"]["sink_rate_percent"].value("paper", 0.0), 77.0) << rows.dump();
  EXPECT_TRUE(rows[3]["measures"]["sink_rate_percent"]["ours"].is_object()) << rows.dump();
  EXPECT_NE(rows[0].dump().find("queued"), std::string::npos) << rows[0].dump();
}

TEST(OpenModels, OtherInputsNeedNoTexts) {
  TestCluster cluster({.workers = 1});
  MakeModels(cluster, {"meta-llama/Llama-2-7b-hf"});
  fs::rename(cluster.path("data/texts.jsonl"), cluster.path("texts.jsonl"));
  const std::string file = cluster.WriteSweep("inputs.yaml",
                                              "schema: sink/v1\nname: inputs\nexperiments:\n  - name: inputs\n"
                                              "    set: {kind: evaluate, evaluate.model: Llama-2-7b-hf, "
                                              "eval.sequences: 4}\n"
                                              "    grid: {evaluate.inputs: [natural, random, repeat]}\n");
  const CommandResult submitted = cluster.Sinkctl({"submit", file});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  // The jobs wait until the worker says with its next question that it has the model by this name.
  for (const auto& [label, job] : cluster.Jobs("inputs")) EXPECT_EQ(job.value("state", ""), "QUEUED") << job.dump();
  fs::rename(cluster.path("models/meta-llama/Llama-2-7b-hf"), cluster.path("models/Llama-2-7b-hf"));
  const auto succeeded = [&](int wanted) {
    const auto jobs = cluster.Jobs("inputs");
    return std::count_if(jobs.begin(), jobs.end(),
                         [](const auto& job) { return job.second.value("state", "") == "SUCCEEDED"; }) == wanted;
  };
  ASSERT_TRUE(testing::WaitFor(100, [&] { return succeeded(2); }));
  for (const auto& [label, job] : cluster.Jobs("inputs")) {
    if (label.find("natural") == std::string::npos) continue;
    EXPECT_EQ(job.value("state", ""), "QUEUED") << job.dump();
    const std::string why = cluster.Sinkctl({"why", job.value("id", ""), "--json"}).Json()["reasons"].dump();
    EXPECT_NE(why.find("no connected worker has its file texts.jsonl"), std::string::npos) << why;
  }
  fs::rename(cluster.path("texts.jsonl"), cluster.path("data/texts.jsonl"));
  EXPECT_TRUE(testing::WaitFor(100, [&] { return succeeded(3); })) << "it waited for its texts alone";
}

TEST(OpenModels, AModelThatIsBeingCopiedIsMeasuredOnceItIsWhole) {
  TestCluster cluster({.workers = 1});
  MakeModels(cluster, {"meta-llama/Llama-2-7b-hf"});
  const std::string weights = cluster.path("models/meta-llama/Llama-2-7b-hf/model.safetensors");
  const auto size = fs::file_size(weights);
  fs::copy_file(weights, cluster.path("weights"));
  fs::resize_file(weights, size / 2);
  const std::string file =
      cluster.WriteSweep("copied.yaml",
                         "schema: sink/v1\nname: copied\nexperiments:\n  - name: copied\n"
                         "    set: {kind: evaluate, evaluate.model: meta-llama/Llama-2-7b-hf, eval.sequences: 4}\n");
  ASSERT_TRUE(testing::WaitFor(100, [&] {
    const nlohmann::json workers = cluster.Sinkctl({"workers", "--json"}).Json()["workers"];
    return !workers.empty() && workers[0]["models"].empty() && !workers[0]["incomplete_models"].empty();
  }));
  const CommandResult submitted = cluster.Sinkctl({"submit", file});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  const std::string job = cluster.Jobs("copied").begin()->second.value("id", "");
  const std::string why = cluster.Sinkctl({"why", job, "--json"}).Json()["reasons"].dump();
  EXPECT_NE(why.find("meta-llama/Llama-2-7b-hf/model.safetensors has " + std::to_string(size / 2) + " of " +
                     std::to_string(size) + " bytes"),
            std::string::npos)
      << why;
  fs::copy_file(cluster.path("weights"), weights, fs::copy_options::overwrite_existing);
  ASSERT_TRUE(cluster.WaitUntilFinal("copied", 100));
  const auto measured = cluster.Jobs("copied").begin()->second;
  EXPECT_EQ(measured.value("state", ""), "SUCCEEDED") << measured.dump();
  EXPECT_EQ(measured.value("attempt", 0), 1) << "it was not tried before";
}

}  // namespace
}  // namespace sink
