// The text of model/storage/modeling_sink.py, the Python code of models that are not LLaMA's, and what it is called in
// a model directory. A trainer writes it, and the coordinator sends its own, whatever has come from a worker: it runs
// where the directory is opened. Constants; any thread.
#pragma once

namespace sink::run {

inline constexpr char kModelingSinkFile[] = "modeling_sink.py";  // config.json's auto_map has the same name
extern const char kModelingSink[];

}  // namespace sink::run
