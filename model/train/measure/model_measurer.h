// A job of kind evaluate: one measurement of a model that is already there. Its steps are the model's layers. Belongs
// to the thread that calls it.
#pragma once

#include "model/train/link/event_sink.h"
#include "model/train/link/run_outcome.h"
#include "model/train/link/trainer_commands.h"
#include "model/train/run/job_file.h"

namespace sink::train {

// Measures the folder job.model on config.evaluate's inputs, on the job's device, and sends what a training run sends
// of its own model, `validation_loss/all` being the mean loss on those inputs. Asked to stop, it ends between two
// layers; the next attempt starts again. ModelError and data::DataError when folder and inputs do not fit.
RunOutcome MeasureModel(const JobFile& job, EventSink& events, TrainerCommands& commands);

}  // namespace sink::train
