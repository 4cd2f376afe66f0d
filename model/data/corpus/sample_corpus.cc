// See sample_corpus.h.
#include "model/data/corpus/sample_corpus.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "model/base/data_error.h"
#include "model/base/or_throw.h"
#include "model/data/corpus/byte_source.h"
#include "model/data/corpus/json_lines.h"
#include "proto/files/files.h"
#include "proto/files/staged_folder.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

constexpr size_t kDocumentBytes = 4096;
constexpr size_t kHoldOutEvery = 50;
constexpr uint64_t kMaxCorpusFileBytes = 1 << 20;

// Calls line(text) for every line, without its newline.
template <typename Callback>
void ForEachLine(std::string_view text, Callback line) {
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    line(text.substr(0, newline));
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
  }
}

std::string ReadDictionary(const fs::path& path) {
  if (!fs::exists(path)) {
    throw DataError(path.string() + " is missing; install the Debian package dict-gcide (apt-get install dict-gcide)");
  }
  const std::unique_ptr<ByteSource> source = OpenByteSource(path);
  std::string text, buffer(1 << 20, '\0');
  while (const size_t n = source->Read(buffer.data(), buffer.size())) text.append(buffer, 0, n);
  return text;
}

std::string ReadBible(const fs::path& program) {
  const std::string fix = "; install the Debian packages bible-kjv and bible-kjv-text (apt-get install bible-kjv " +
                          std::string("bible-kjv-text)");
  if (::access(program.c_str(), X_OK) != 0) throw DataError(program.string() + " is missing" + fix);
  const std::string command = "'" + program.string() + "' -p /usr/lib -f 'gen1:1-rev22:21' </dev/null 2>/dev/null";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw DataError(program.string() + ": cannot be started");
  std::string text, buffer(1 << 16, '\0');
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer, 0, n);
  const int status = ::pclose(pipe);
  if (status != 0 || SplitBible(text).empty()) throw DataError(program.string() + " printed no verses" + fix);
  return text;
}

// Writes one domain's two files below folder.
void WriteDomain(const fs::path& folder, const std::string& domain, const std::vector<std::string>& documents,
                 SampleCorpusResult* result) {
  std::map<std::string, std::string> lines;
  for (size_t i = 0; i < documents.size(); ++i) {
    const std::string split = i % kHoldOutEvery == kHoldOutEvery - 1 ? "valid" : "train";
    lines[split] += PrintTextLine(documents[i]) + "\n";
    ++result->documents[split + "/" + domain];
  }
  for (const auto& [split, text] : lines) {
    fs::create_directories(folder / split);
    OrThrow<DataError>(files::ReplaceFile(folder / split / (domain + ".jsonl"), text));
  }
}

}  // namespace

std::vector<std::string> SplitDictionary(std::string_view text) {
  std::vector<std::string> documents;
  std::string document;
  bool started = false, after_blank = true;
  ForEachLine(text, [&](std::string_view line) {
    const bool headword = after_blank && !line.empty() && line.front() != ' ';
    started = started || (headword && line.find(" \\") != std::string_view::npos);
    after_blank = line.find_first_not_of(" \t\r") == std::string_view::npos;
    if (!started) return;
    if (headword && document.size() >= kDocumentBytes) documents.push_back(std::exchange(document, std::string()));
    document.append(line).push_back('\n');
  });
  if (!document.empty()) documents.push_back(std::move(document));
  for (std::string& each : documents) each.erase(each.find_last_not_of('\n') + 1);
  return documents;
}

std::vector<std::string> SplitBible(std::string_view text) {
  std::vector<std::string> documents;
  std::string_view chapter;
  ForEachLine(text, [&](std::string_view line) {
    const size_t space = line.find(' ');
    const size_t colon = line.find(':');
    if (space == std::string_view::npos || colon == std::string_view::npos || colon > space) return;
    if (documents.empty() || chapter != line.substr(0, colon)) {
      chapter = line.substr(0, colon);
      documents.emplace_back();
    } else {
      documents.back() += '\n';
    }
    documents.back() += line.substr(space + 1);
  });
  return documents;
}

SampleCorpusResult MakeSampleCorpus(const SampleCorpusOptions& options) {
  SampleCorpusResult result;
  const fs::path summary = options.out / kCorpusFileName;
  if (fs::exists(summary)) {
    try {
      const auto json = nlohmann::json::parse(OrThrow<DataError>(files::ReadFile(summary, kMaxCorpusFileBytes)));
      json.at("documents").get_to(result.documents);
    } catch (const nlohmann::json::exception& error) {
      throw DataError(summary.string() + ": damaged; remove " + options.out.string() + " and run this again");
    }
    for (const auto& [name, count] : result.documents) {
      if (!fs::exists(options.out / (name + ".jsonl"))) {
        throw DataError((options.out / (name + ".jsonl")).string() + " is missing; remove " + options.out.string() +
                        " and run this again");
      }
    }
    result.already_complete = true;
    return result;
  }
  const std::string dictionary = ReadDictionary(options.dictionary);
  const std::string bible = ReadBible(options.bible_program);
  files::StagedFolder staged = OrThrow<DataError>(files::StagedFolder::Resume(options.out));
  OrThrow<DataError>(staged.Clear());
  WriteDomain(staged.path(), "gcide", SplitDictionary(dictionary), &result);
  WriteDomain(staged.path(), "bible", SplitBible(bible), &result);
  OrThrow<DataError>(files::ReplaceFile(fs::path(staged.path()) / kCorpusFileName,
                                        nlohmann::json{{"documents", result.documents}}.dump(1) + "\n"));
  OrThrow<DataError>(staged.Commit());
  return result;
}

}  // namespace sink::data
