#include "model/data/packed/line_batches.h"

#include <utility>

#include "model/data/corpus/json_lines.h"

namespace sink::data {
namespace {

constexpr size_t kBatchBytes = 2 << 20;

}  // namespace

void EncodeBatch(Tokenizer* tokenizer, std::string_view key, LineBatch* batch) {
  for (CorpusLine& line : batch->lines) {
    if (!line.error.empty()) continue;
    TextResult parsed = ParseTextLine(line.text, key);
    std::string().swap(line.text);
    if (!parsed.text) {
      line.error = std::move(parsed.error);
      continue;
    }
    tokenizer->Encode(*parsed.text, &line.ids);
    line.ids.push_back(tokenizer->eos_id());
  }
}

std::optional<LineBatch> BatchReader::Next() {
  if (next_ == wanted_.size()) return std::nullopt;
  LineBatch batch = {.source = wanted_[next_]};
  if (!reader_) reader_.emplace(sources_[batch.source].path);
  Fill(&batch);
  if (batch.last) {
    reader_.reset();
    ++next_;
  }
  return batch;
}

void BatchReader::Fill(LineBatch* batch) {
  CorpusLine line;
  for (size_t bytes = 0; bytes < kBatchBytes; line = {}) {
    if (!reader_->Next(&line.text)) {
      batch->last = true;
      batch->digest = reader_->digest();
      break;
    }
    if (IsBlank(line.text) && !reader_->too_long()) continue;
    if (reader_->too_long()) line.error = kTooLong;
    line.number = reader_->line_number();
    bytes += line.text.size();
    batch->lines.push_back(std::move(line));
  }
  batch->consumed = reader_->consumed();
}

}  // namespace sink::data
