// What a model is measured on: a probe of ids, texts read with the folder's own tokenizer, or ids without meaning, the
// controls of the study (Gu et al., ICLR 2025, table 1). Reads files only; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/data/corpus/json_lines.h"
#include "model/eval/probe.h"
#include "proto/config/choices.h"

namespace sink {

// What stands before each text: the tokenizer's rule decides (bos_rule.h), or its token does so, or nothing.
enum class TextBos { kAuto, kYes, kNo };

struct InputOptions {
  InputKind kind = InputKind::kNatural;
  std::filesystem::path probe;            // for kNatural: this (probe.h)
  std::filesystem::path texts;            // or JSON lines (text_reader.h), the first that are long enough
  std::string text_key = data::kTextKey;  // the field of a line that holds its text
  TextBos text_bos = TextBos::kAuto;
  ProbeOptions probe_options;  // its bos overrules the tokenizer's rule
  uint64_t seed = 0;           // of kRandom and kRepeat
};

struct Inputs {
  at::Tensor ids_BT;               // [B, T + 1], int64: T inputs and the T targets one further on
  std::optional<int64_t> bos;      // the first id of every sequence, where something put it there
  std::string description;         // one phrase without a newline: how many of what
  std::string bos_reason;          // why bos is what it is, a phrase; "" where nothing more is to be said
  std::vector<std::string> notes;  // a sentence each, for whoever reads the numbers
};

// Texts are read with the model's tokenizer; nothing else opens it. Random and repeated ids have nothing before them
// unless an id is given, as a first token that differs would undo what they are for; they are drawn from all ids below
// vocab_size. ModelError or data::DataError naming the file.
Inputs LoadInputs(const InputOptions& options, const std::filesystem::path& model, int64_t vocab_size);

}  // namespace sink
