// JSON and CSV: the forms that scripts read.
#include "coordinator/cli/print/printer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "coordinator/cli/views/documents.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

Page Points() {
  Page page;
  page.document = {{"points", {{{"name", "a,\"b\""}, {"value", 0.1}}, {{"name", "c"}, {"value", nullptr}}}}};
  page.blocks.push_back(TextBlock{{{"words"}}});
  page.blocks.push_back(TableBlock{"points", {TextColumn("NAME", "name"), FixedColumn("VALUE", "value", 1)}, ""});
  return page;
}

TEST(JsonPrinter, PrintsTheDocumentAndStreamsOneObjectALine) {
  std::ostringstream out;
  const auto printer = MakeJsonPrinter(out);
  printer->PrintItem({{"step", 1}}, {{"ignored"}});
  printer->PrintItem({{"text", "bad \xff byte\n"}}, {});
  EXPECT_EQ(out.str(), "{\"step\":1}\n{\"text\":\"bad \ufffd byte\\n\"}\n");
  out.str("");
  printer->Print(Points());
  EXPECT_EQ(Json::parse(out.str()), Points().document);
}

TEST(CsvPrinter, QuotesAndDoesNotRound) {
  std::ostringstream out;
  MakeCsvPrinter(out)->Print(Points());
  EXPECT_EQ(out.str(), "name,value\n\"a,\"\"b\"\"\",0.1\nc,\n");
}

TEST(Number, NonFiniteNumbersAreNamed) {
  EXPECT_EQ(Compact(Number(NAN)), "\"NaN\"");
  EXPECT_EQ(Compact(Number(-INFINITY)), "\"-Infinity\"");
  EXPECT_EQ(Compact(Number(0.1)), "0.1");
}

TEST(JobDocument, HasEveryFieldAlsoWhenNothingIsKnown) {
  v1::Job job;
  job.set_id("00112233445566778899aabbccddeeff");
  job.set_state(v1::QUEUED);
  const Json json = ToJson(job);
  for (const char* field : {"id",
                            "generation",
                            "state",
                            "attempt",
                            "worker",
                            "failure_class",
                            "message",
                            "devices",
                            "cancel_requested",
                            "created_ms",
                            "started_ms",
                            "finished_ms",
                            "step",
                            "max_steps",
                            "tokens",
                            "tokens_per_second",
                            "eta_seconds",
                            "train_loss",
                            "validation_loss",
                            "sink_epsilon",
                            "sink_rate_percent",
                            "alpha_mean_1",
                            "alpha_max_1",
                            "hidden_norm_ratio",
                            "metrics",
                            "sweeps"})
    EXPECT_TRUE(json.contains(field)) << field;
  EXPECT_EQ(json["state"], "QUEUED");
  EXPECT_TRUE(json["train_loss"].is_null());
  EXPECT_EQ(json["worker"], "");
}

TEST(JobDocument, FailureClassesAreNamedAsInSweepFiles) {
  v1::Job job;
  job.set_failure_class(v1::NON_FINITE);
  EXPECT_EQ(ToJson(job)["failure_class"], "nan");
}

TEST(Measurements, TakesEpsilonOf03OrTheSmallest) {
  v1::Progress progress;
  (*progress.mutable_latest())["sink_rate/0.4/1"] = 0.4;
  (*progress.mutable_latest())["sink_rate/0.2/1"] = 0.2;
  EXPECT_EQ(Measure(progress).epsilon, "0.2");
  (*progress.mutable_latest())["sink_rate/0.3/1"] = 0.3;
  EXPECT_EQ(Measure(progress).epsilon, "0.3");
  EXPECT_EQ(Measure(progress).sink_rate, 0.3);
}

TEST(JsonPrinter, WhatSteersATerminalIsEscaped) {
  std::ostringstream out;
  MakeJsonPrinter(out)->PrintItem({{"text",
                                    "a\xc2\x9b"
                                    "b\u202ec\u2066d caf\u00e9 \u2026"}},
                                  {});
  EXPECT_EQ(out.str(), "{\"text\":\"a\\u009bb\\u202ec\\u2066d caf\u00e9 \u2026\"}\n");
  EXPECT_EQ(Json::parse(out.str())["text"],
            "a\xc2\x9b"
            "b\u202ec\u2066d caf\u00e9 \u2026")
      << "and means the same";
}

TEST(CsvPrinter, ForATerminalIsWithoutWhatSteersIt) {
  Page page = Points();
  page.document["points"][0]["name"] = "a\x1b[31mb";
  std::ostringstream shown, piped;
  MakeCsvPrinter(shown, /*for_terminal=*/true)->Print(page);
  MakeCsvPrinter(piped)->Print(page);
  EXPECT_EQ(shown.str().find('\x1b'), std::string::npos);
  EXPECT_NE(piped.str().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace sink::cli
