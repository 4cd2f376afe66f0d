#include "model/eval/inputs.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "model/base/data_error.h"
#include "model/base/model_error.h"
#include "model/data/corpus/text_reader.h"
#include "model/data/loader/random_order.h"
#include "model/data/tokenizer/tokenizer.h"
#include "model/eval/gguf_tokenizer.h"
#include "model/storage/gguf.h"

namespace sink {
namespace {

namespace fs = std::filesystem;

// A tokenizer, and the file it is of.
struct Opened {
  std::unique_ptr<data::Tokenizer> tokenizer;
  std::string file;
};

Opened OpenTokenizerOf(const fs::path& model) {
  if (IsGguf(model)) return {GgufTokenizer(GgufFile(model).content(), model.string()), model.filename()};
  for (const char* name : {"tokenizer.json", "tokenizer.model", "vocab.json"})
    if (fs::exists(model / name)) return {data::OpenTokenizer((model / name).string()), name};
  throw ModelError(model.string() +
                   ": no tokenizer.json, tokenizer.model nor vocab.json to read texts with; write one with\n"
                   "  python3 -c \"from transformers import AutoTokenizer as T; T.from_pretrained('" +
                   model.string() + "').save_pretrained('" + model.string() + "')\"");
}

// Sets what stands before each text.
void ChooseBos(const InputOptions& options, const Opened& opened, Inputs& inputs) {
  const data::BosRule rule = opened.tokenizer->bos_rule();
  if (options.probe_options.bos) {
    inputs.bos = options.probe_options.bos;
    inputs.bos_reason = "as --bos says";
  } else if (options.text_bos == TextBos::kYes) {
    inputs.bos = rule.token ? rule.token : rule.id;
    if (!inputs.bos) throw data::DataError(opened.file + ": --bos yes, but no bos_token is known; give its id");
    inputs.bos_reason = "as --bos says";
  } else if (options.text_bos == TextBos::kNo) {
    inputs.bos_reason = "as --bos says";
  } else {
    inputs.bos = rule.id;
    inputs.bos_reason = rule.reason;
    if (!rule.dispute.empty()) inputs.notes.push_back(rule.dispute);
  }
}

Inputs ReadTexts(const InputOptions& options, const fs::path& model) {
  const Opened opened = OpenTokenizerOf(model);
  Inputs inputs;
  ChooseBos(options, opened, inputs);
  const auto width = static_cast<size_t>(options.probe_options.tokens + 1);
  std::vector<int64_t> all;
  std::vector<int32_t> ids;
  int64_t count = 0, short_texts = 0;
  data::TextReader reader(options.texts, options.text_key);
  for (std::string text; count < options.probe_options.sequences && reader.Next(&text);) {
    ids.clear();
    if (inputs.bos) ids.push_back(static_cast<int32_t>(*inputs.bos));
    opened.tokenizer->Encode(text, &ids);
    if (ids.size() < width) {
      ++short_texts;
      continue;
    }
    all.insert(all.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(width));
    ++count;
  }
  if (count == 0)
    throw data::DataError(options.texts.string() + ": no text of " + std::to_string(width) +
                          " tokens; lower --tokens or give longer texts");
  inputs.ids_BT = at::empty({count, static_cast<int64_t>(width)}, at::TensorOptions().dtype(at::kLong));
  std::copy(all.begin(), all.end(), inputs.ids_BT.mutable_data_ptr<int64_t>());
  inputs.description = std::to_string(count) + " texts, " + std::to_string(short_texts) +
                       " shorter ones passed over, read with " + opened.file;
  return inputs;
}

// ids[n][t] = draw(n, t).
template <typename Draw>
at::Tensor Fill(int64_t sequences, int64_t width, const Draw& draw) {
  const at::Tensor ids_BT = at::empty({sequences, width}, at::TensorOptions().dtype(at::kLong));
  int64_t* ids = ids_BT.mutable_data_ptr<int64_t>();
  for (int64_t n = 0; n < sequences; ++n)
    for (int64_t t = 0; t < width; ++t) ids[n * width + t] = draw(n, t);
  return ids_BT;
}

Inputs Meaningless(const InputOptions& options, int64_t vocab_size) {
  const ProbeOptions& probe = options.probe_options;
  const bool repeat = options.kind == InputKind::kRepeat;
  Inputs inputs;
  inputs.bos = probe.bos;
  inputs.ids_BT = Fill(probe.sequences, probe.tokens + 1, [&](int64_t n, int64_t t) {
    if (t == 0 && probe.bos) return *probe.bos;
    return static_cast<int64_t>(
        data::UniformOf({options.seed, static_cast<uint64_t>(n), repeat ? 0 : static_cast<uint64_t>(t)},
                        static_cast<uint64_t>(vocab_size)));
  });
  inputs.description = std::to_string(probe.sequences) +
                       (repeat ? " sequences of one id each, of " : " sequences of ids, of ") +
                       std::to_string(vocab_size) + ", seed " + std::to_string(options.seed);
  return inputs;
}

}  // namespace

Inputs LoadInputs(const InputOptions& options, const fs::path& model, int64_t vocab_size) {
  switch (options.kind) {
    case InputKind::kRandom:
    case InputKind::kRepeat:
      return Meaningless(options, vocab_size);
    case InputKind::kNatural:
      break;
  }
  if (!options.texts.empty()) return ReadTexts(options, model);
  Inputs inputs{.ids_BT = LoadProbe(options.probe, options.probe_options), .bos = options.probe_options.bos};
  inputs.description = std::to_string(inputs.ids_BT.size(0)) + " sequences of a probe";
  return inputs;
}

}  // namespace sink
