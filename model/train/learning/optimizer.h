// The optimizer of a run: AdamW (kernels/adamw.h has the formula) on every parameter or, with train.optimizer "muon",
// Muon (muon.h) on the matrices of the layers and AdamW on the rest: embeddings, head, norms, biases. It may be in
// charge of a part of the model alone, as each of several ranks is with train.shard_optimizer. Belongs to the training
// thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/backend/backend.h"
#include "model/network/transformer.h"
#include "model/train/learning/muon.h"
#include "proto/config/job_config.h"

namespace sink::train {

// Elements [begin, end) of the model's flat vector of parameters.
struct Part {
  int64_t begin = 0;
  int64_t end = 0;
};

Part WholeOf(const Transformer& model);

// The parts of `ranks` ranks: neighbours that together are the whole, of about equal sizes. None cuts a matrix that
// Muon updates.
Part PartOf(const TrainConfig& config, const Transformer& model, int rank, int ranks);

class Optimizer {
 public:
  // Views the model's values and gradients, which must stay where they are; moments start at zero, on their device.
  Optimizer(const TrainConfig& config, const Transformer& model, const Part& part);

  // One update of the part's values from its gradients times gradient_scale, a float scalar on their device; where
  // that is 0, nothing changes, whatever the gradients hold. `step` counts the updates done before; it corrects the
  // bias of AdamW's moments. Muon's rate is muon_learning_rate * learning_rate / config.learning_rate: the same
  // schedule (0 where that is 0 everywhere). Every parameter decays, by rate * weight_decay of its value.
  void Update(int64_t step, double learning_rate, const at::Tensor& gradient_scale);

  // What a checkpoint keeps, as views to write or read into, of the parameters' shapes: AdamW's moments m.<parameter>
  // and v.<parameter>, Muon's momentum.<parameter>. Only an optimizer of the whole model has it.
  std::map<std::string, at::Tensor> State() const;

  // The same within a part of its part: views in an order and of sizes that depend on the model and `part` alone.
  std::vector<at::Tensor> StateOf(const Part& part) const;

  const Part& part() const { return part_; }

 private:
  // Parameters that lie side by side, seen as one vector: AdamW is one pass over memory. The first and the last may be
  // cut by the part.
  struct Range {
    std::span<const Parameter> parameters;
    Part part;
    AdamWBuffers buffers;
  };

  void AddRange(const Transformer& model, std::span<const Parameter> parameters);

  const TrainConfig config_;
  const Part part_;
  std::vector<Range> ranges_;
  std::vector<MuonMatrix> matrices_;
};

}  // namespace sink::train
