// The text of modeling_sink.py, the Python code of models that are not LLaMA's, and what it is called in a model
// directory. The build makes it of the file beside this one. Constants; any thread.
#pragma once

namespace sink {

inline constexpr char kModelingSinkFile[] = "modeling_sink.py";  // config.json's auto_map has the same name
extern const char kModelingSink[];

}  // namespace sink
