// The commands of sinkctl, one file each: every function hangs one on the list. Used by the main thread, once.
#pragma once

#include "coordinator/cli/base/command.h"

namespace sink::cli {

void AddSubmitCommand(Commands& commands);
void AddPlanCommand(Commands& commands);
void AddCalibrateCommand(Commands& commands);
void AddStatusCommand(Commands& commands);
void AddTopCommand(Commands& commands);
void AddWaitCommand(Commands& commands);
void AddResultsCommand(Commands& commands);
void AddCurvesCommand(Commands& commands);
void AddReportCommand(Commands& commands);
void AddPlotCommand(Commands& commands);
void AddExportCommand(Commands& commands);
void AddJobsCommand(Commands& commands);
void AddJobCommand(Commands& commands);
void AddWhyCommand(Commands& commands);
void AddLogsCommand(Commands& commands);
void AddMetricsCommand(Commands& commands);
void AddCancelCommand(Commands& commands);
void AddRetryCommand(Commands& commands);
void AddDeleteCommand(Commands& commands);
void AddWorkersCommand(Commands& commands);
void AddDoctorCommand(Commands& commands);
void AddHoldCommands(Commands& commands);
void AddPriorityCommand(Commands& commands);
void AddCredentialCommands(Commands& commands);
void AddAuditCommand(Commands& commands);
void AddPageCommand(Commands& commands);
void AddCheckpointCommand(Commands& commands);
void AddGcCommand(Commands& commands);
void AddSlurmCommand(Commands& commands);
void AddCompletionCommand(Commands& commands);
void AddVersionCommand(Commands& commands);

}  // namespace sink::cli
