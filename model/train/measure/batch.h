// From the job's data set to tensors on its device. Stateless functions; the loader belongs to the caller's thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "model/data/loader/loader.h"
#include "model/train/run/job_file.h"

namespace sink::train {

// The job's data set, "train" or "valid", with the job's transforms; "train" with its mix of domains. The validation
// rows and their order are the same for all seeds and fractions, so that the losses of a study's jobs can be compared.
data::LoaderOptions LoaderOptionsOf(const JobFile& job, const std::string& split);

// The next `rows` rows as int64 [rows, length + 1] on the device.
at::Tensor ReadBatch(data::Loader& loader, int64_t rows, int64_t length, at::Device device);

}  // namespace sink::train
