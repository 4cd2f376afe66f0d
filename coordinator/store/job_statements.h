// The SQL of a job's row, made once from job_columns.h, and the movement of its values. For the SQLite store only; the
// statements live as long as the program, as Database::Prepared asks. Any thread.
#pragma once

#include <string>

#include "coordinator/store/job_columns.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

// SELECT seq and the columns of `jobs AS j`, then what `rest` says: it begins after the last column.
std::string SelectListed(const char* rest);
std::string SelectJob(const char* rest);
// How many columns SelectListed has before `rest`.
int ListedColumns();

const char* InsertJobSql();       // BindInsert
const char* UpdateJobSql();       // BindUpdate
const char* UpdateProgressSql();  // BindProgress; returns a row when the job exists

void BindInsert(const Job& job, Query* query);
void BindUpdate(const Job& job, Query* query);
void BindProgress(const Job& job, Query* query);

// From a row of SelectListed, into a job that may hold another one's; and from a row of SelectJob.
void ReadListed(Query& row, Job* job);
Job ReadJob(Query& row);

}  // namespace sink::store
