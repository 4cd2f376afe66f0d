// See job_statements.h.
#include "coordinator/store/job_statements.h"

#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace sink::store {
namespace {

template <typename T>
void BindField(Query* query, const T& field) {
  if constexpr (std::is_same_v<T, LatestValues>) {
    query->Bind(field.text());
  } else {
    query->Bind(field);
  }
}

template <typename T>
void ReadField(Query& row, int column, T* field) {
  if constexpr (std::is_same_v<T, LatestValues>) {
    field->AssignText(row.Bytes(column));
  } else if constexpr (std::is_same_v<T, std::string>) {
    row.Text(column, field);
  } else if constexpr (std::is_same_v<T, double>) {
    *field = row.Real(column);
  } else if constexpr (std::is_same_v<T, bool>) {
    *field = row.Int(column) != 0;
  } else {
    *field = static_cast<T>(row.Int(column));
  }
}

// "UPDATE jobs SET a = ?2, b = ?3 WHERE id = ?1", of the columns that `wanted` accepts.
template <typename Wanted>
std::string Update(Wanted wanted) {
  std::string sql = "UPDATE jobs SET ";
  int index = 1;
  VisitColumns([&](const JobColumn& column) {
    if (wanted(column)) absl::StrAppend(&sql, index == 1 ? "" : ", ", column.name, " = ?", index + 1), ++index;
  });
  return sql + " WHERE id = ?1";
}

// Objects, not functions, so that the choice of columns is made when a statement's binding is compiled.
constexpr auto kIsUpdated = [](const JobColumn& column) { return !column.is(kFixed); };
constexpr auto kIsProgress = [](const JobColumn& column) { return column.is(kProgress); };

template <typename Wanted>
std::string Select(Wanted wanted, const char* rest) {
  std::string sql = "SELECT j.seq";
  VisitColumns([&](const JobColumn& column) {
    if (wanted(column)) absl::StrAppend(&sql, ", j.", column.name);
  });
  return absl::StrCat(sql, " ", rest);
}

template <typename Wanted>
void BindForUpdate(const Job& job, Query* query, Wanted wanted) {
  query->Bind(job.id);
  VisitColumns(
      [&](const JobColumn& column, const auto& field) {
        if (wanted(column)) BindField(query, field);
      },
      job);
}

}  // namespace

std::string SelectListed(const char* rest) {
  return Select([](const JobColumn& column) { return column.is(kListed); }, rest);
}
std::string SelectJob(const char* rest) {
  return Select([](const JobColumn&) { return true; }, rest);
}

int ListedColumns() {
  static const int count = [] {
    int listed = 1;  // seq
    VisitColumns([&](const JobColumn& column) { listed += column.is(kListed); });
    return listed;
  }();
  return count;
}

const char* InsertJobSql() {
  static const std::string& sql = *new std::string([] {
    std::string names, values;
    int index = 0;
    VisitColumns([&](const JobColumn& column) {
      const char* const comma = index == 0 ? "" : ", ";
      absl::StrAppend(&names, comma, column.name);
      absl::StrAppend(&values, comma, "?", ++index);
    });
    return absl::StrCat("INSERT INTO jobs (", names, ") VALUES (", values, ")");
  }());
  return sql.c_str();
}

const char* UpdateJobSql() {
  static const std::string& sql = *new std::string(Update(kIsUpdated));
  return sql.c_str();
}

const char* UpdateProgressSql() {
  static const std::string& sql = *new std::string(Update(kIsProgress) + " RETURNING seq");
  return sql.c_str();
}

void BindInsert(const Job& job, Query* query) {
  VisitColumns([&](const JobColumn&, const auto& field) { BindField(query, field); }, job);
}
void BindUpdate(const Job& job, Query* query) { BindForUpdate(job, query, kIsUpdated); }
void BindProgress(const Job& job, Query* query) { BindForUpdate(job, query, kIsProgress); }

void ReadListed(Query& row, Job* job) {
  int index = 1;  // after seq
  VisitColumns(
      [&](const JobColumn& column, auto& field) {
        if (column.is(kListed)) ReadField(row, index++, &field);
      },
      *job);
}

Job ReadJob(Query& row) {
  Job job;
  int index = 1;  // after seq
  VisitColumns([&](const JobColumn&, auto& field) { ReadField(row, index++, &field); }, job);
  return job;
}

}  // namespace sink::store
