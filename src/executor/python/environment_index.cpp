// SPDX-License-Identifier: Apache-2.0
#include "executor/python/environment_index.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>
#include <sqlite3.h>

#include <ctime>
#include <mutex>

#include "base/error.hpp"
#include "executor/python/file_lock.hpp"

namespace hawse::executor {

namespace {

constexpr int kSchemaVersion = 2;
constexpr int kBusyTimeout_ms = 5000;
constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS environments(kind TEXT, key TEXT, what TEXT, place TEXT, bytes INTEGER, created INTEGER, last_used INTEGER, PRIMARY KEY(kind, key));"
    "CREATE TABLE IF NOT EXISTS uses(kind TEXT, key TEXT, pipeline TEXT, PRIMARY KEY(kind, key, pipeline));"  // since version 2
    "CREATE TABLE IF NOT EXISTS notes(key TEXT PRIMARY KEY, value TEXT, at INTEGER);";

SQLite::Database open_or_throw(const std::filesystem::path& file) {
  SQLite::Database database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeout_ms);
  ::sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);  // else every short use ends with a wait for the disk
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version == kSchemaVersion) {
    database.exec("PRAGMA synchronous = NORMAL");
    return database;
  }
  if (version > kSchemaVersion) throw SQLite::Exception("another version of the index");
  const FileLock lock(file.string() + ".lock");  // the change to WAL waits for nobody, so two that make the file must take turns
  database.exec("PRAGMA journal_mode = WAL");  // readers don't wait, and a commit doesn't wait for the disk
  database.exec("PRAGMA synchronous = NORMAL");
  database.exec(std::string("BEGIN IMMEDIATE; ") + kSchema + " PRAGMA user_version = " + std::to_string(kSchemaVersion) + "; COMMIT;");
  return database;
}

SQLite::Database open_database(const std::filesystem::path& file) {
  try {
    try {
      return open_or_throw(file);
    } catch (const SQLite::Exception& error) {
      if (error.getErrorCode() == SQLITE_BUSY || error.getErrorCode() == SQLITE_CANTOPEN) throw;
      std::error_code ignored;
      std::filesystem::rename(file, file.string() + ".unreadable", ignored);
      for (const char* beside : {"-wal", "-shm"}) std::filesystem::remove(file.string() + beside, ignored);
      return open_or_throw(file);
    }
  } catch (const SQLite::Exception& error) {
    throw Error(ErrorCode::system, "open the index of environments " + file.string(), error.what(), "check that the folder can be written, or set HAWSE_STATE to one that can");
  }
}

Environment read_row(SQLite::Statement& row) {
  return {row.getColumn(0).getString(), row.getColumn(1).getString(), row.getColumn(2).getString(), row.getColumn(3).getString(),
          static_cast<std::uint64_t>(row.getColumn(4).getInt64()), row.getColumn(5).getInt64(), row.getColumn(6).getInt64(), {}};
}

std::vector<std::string> pipelines_of(SQLite::Database& database, const std::string& kind, const std::string& key) {
  SQLite::Statement query(database, "SELECT pipeline FROM uses WHERE kind = ? AND key = ? ORDER BY pipeline");
  SQLite::bind(query, kind, key);
  std::vector<std::string> pipelines;
  while (query.executeStep()) pipelines.push_back(query.getColumn(0).getString());
  return pipelines;
}

constexpr const char* kColumns = "SELECT kind, key, what, place, bytes, created, last_used FROM environments";

}  // namespace

struct EnvironmentIndex::State {
  std::mutex mutex;
  SQLite::Database database;

  template <class Work>
  auto with(const char* operation, Work work) {
    const std::lock_guard lock(mutex);
    try {
      return work(database);
    } catch (const SQLite::Exception& error) {
      throw Error(ErrorCode::system, operation, std::string("the index of environments: ") + error.what());
    }
  }
};

EnvironmentIndex::EnvironmentIndex(const std::filesystem::path& file) : state_(new State{{}, open_database(file)}) {}
EnvironmentIndex::EnvironmentIndex(EnvironmentIndex&&) noexcept = default;
EnvironmentIndex& EnvironmentIndex::operator=(EnvironmentIndex&&) noexcept = default;
EnvironmentIndex::~EnvironmentIndex() = default;

std::optional<Environment> EnvironmentIndex::find(const std::string& kind, const std::string& key) {
  return state_->with("look up an environment", [&](SQLite::Database& database) -> std::optional<Environment> {
    SQLite::Statement query(database, std::string(kColumns) + " WHERE kind = ? AND key = ?");
    SQLite::bind(query, kind, key);
    if (!query.executeStep()) return std::nullopt;
    Environment found = read_row(query);
    found.pipelines = pipelines_of(database, kind, key);
    return found;
  });
}

std::vector<Environment> EnvironmentIndex::all() {
  return state_->with("list environments", [](SQLite::Database& database) {
    std::vector<Environment> found;
    SQLite::Statement query(database, std::string(kColumns) + " ORDER BY kind, last_used DESC");
    while (query.executeStep()) found.push_back(read_row(query));
    for (auto& environment : found) environment.pipelines = pipelines_of(database, environment.kind, environment.key);
    return found;
  });
}

void EnvironmentIndex::put(const Environment& environment) {
  state_->with("note an environment", [&](SQLite::Database& database) {
    const std::int64_t now = std::time(nullptr);
    SQLite::Statement insert(database, "INSERT OR REPLACE INTO environments VALUES(?, ?, ?, ?, ?, ?, ?)");
    SQLite::bind(insert, environment.kind, environment.key, environment.what, environment.place, static_cast<std::int64_t>(environment.bytes),
                 environment.created_s ? environment.created_s : now, environment.last_used_s ? environment.last_used_s : now);
    insert.exec();
  });
}

void EnvironmentIndex::touch(const std::string& kind, const std::string& key, const std::string& pipeline) {
  state_->with("note the use of an environment", [&](SQLite::Database& database) {
    SQLite::Statement update(database, "UPDATE environments SET last_used = ? WHERE kind = ? AND key = ?");
    SQLite::bind(update, static_cast<std::int64_t>(std::time(nullptr)), kind, key);
    update.exec();
    if (pipeline.empty()) return;
    SQLite::Statement insert(database, "INSERT OR IGNORE INTO uses VALUES(?, ?, ?)");
    SQLite::bind(insert, kind, key, pipeline);
    if (!insert.exec()) return;
    for (const auto& each : pipelines_of(database, kind, key)) {
      if (std::error_code error; each == pipeline || std::filesystem::exists(each, error) || error) continue;
      SQLite::Statement erase(database, "DELETE FROM uses WHERE kind = ? AND key = ? AND pipeline = ?");
      SQLite::bind(erase, kind, key, each);
      erase.exec();
    }
  });
}

void EnvironmentIndex::forget(const std::string& kind, const std::string& key) {
  state_->with("forget an environment", [&](SQLite::Database& database) {
    for (const char* table : {"environments", "uses"}) {
      SQLite::Statement erase(database, std::string("DELETE FROM ") + table + " WHERE kind = ? AND key = ?");
      SQLite::bind(erase, kind, key);
      erase.exec();
    }
  });
}

std::optional<std::string> EnvironmentIndex::note(const std::string& key, std::int64_t not_older_than_s) {
  return state_->with("read a note", [&](SQLite::Database& database) -> std::optional<std::string> {
    SQLite::Statement query(database, "SELECT value FROM notes WHERE key = ? AND at >= ?");
    const std::int64_t oldest = not_older_than_s ? std::time(nullptr) - not_older_than_s : 0;
    SQLite::bind(query, key, oldest);
    if (!query.executeStep()) return std::nullopt;
    return query.getColumn(0).getString();
  });
}

void EnvironmentIndex::set_note(const std::string& key, const std::string& value) {
  state_->with("write a note", [&](SQLite::Database& database) {
    SQLite::Statement insert(database, "INSERT OR REPLACE INTO notes VALUES(?, ?, ?)");
    SQLite::bind(insert, key, value, static_cast<std::int64_t>(std::time(nullptr)));
    insert.exec();
  });
}

}  // namespace hawse::executor
