// SPDX-License-Identifier: Apache-2.0
#include "bench/record/record.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>
#include <sqlite3.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.hpp"
#include "base/files.hpp"
#include "bench/record/wording.hpp"
#include "executor/python/file_lock.hpp"

namespace hawse::bench {
namespace {

using nlohmann::json;

constexpr int kSchemaVersion = 1;
constexpr int kBusyTimeout_ms = 10000;
constexpr const char* kSchema = R"(
CREATE TABLE runs(id INTEGER PRIMARY KEY AUTOINCREMENT, started_s INTEGER, seconds INTEGER, command TEXT, effort TEXT, version TEXT, commit_hash TEXT,
                  near_ns REAL, far_ns REAL, machine TEXT);
CREATE TABLE result_rows(id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, name TEXT, heading TEXT, title TEXT,
                         measured TEXT, better TEXT, missing TEXT, targets TEXT, facts TEXT);
CREATE TABLE series(id INTEGER PRIMARY KEY, result_row INTEGER NOT NULL REFERENCES result_rows ON DELETE CASCADE, key TEXT, variant TEXT, role TEXT,
                    unit TEXT, wait TEXT, payload TEXT, x REAL, x_name TEXT, phase_of TEXT, operations_per_sample INTEGER, version TEXT, missing TEXT);
CREATE TABLE batches(id INTEGER PRIMARY KEY, series INTEGER NOT NULL REFERENCES series ON DELETE CASCADE, pass INTEGER, placement TEXT, samples BLOB);
CREATE TABLE baselines(name TEXT PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs);
CREATE INDEX result_rows_of_run ON result_rows(run);
CREATE INDEX series_of_row ON series(result_row);
CREATE INDEX batches_of_series ON batches(series);
)";
static_assert(std::endian::native == std::endian::little, "samples are kept as they lie in memory");

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& operation, const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::system, operation, "the benchmark's record " + file.string() + ": " + what, hint);
}

void make_schema(SQLite::Database& database, const std::filesystem::path& file) {
  const executor::FileLock lock(file.string() + ".lock");  // the change to WAL waits for nobody, so two that make the file must take turns
  if (database.execAndGet("PRAGMA user_version").getInt() == kSchemaVersion) return;
  if (database.execAndGet("SELECT count(*) FROM sqlite_master").getInt() != 0)
    fail(file, "open", "it is the database of another program", "name another file");
  database.exec("PRAGMA auto_vacuum = INCREMENTAL");  // a run removed gives its space back
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(std::string("BEGIN IMMEDIATE; ") + kSchema + " PRAGMA user_version = " + std::to_string(kSchemaVersion) + "; COMMIT;");
}

SQLite::Database open_database(const std::filesystem::path& file) {
  std::error_code ignored;  // whatever it is, opening the file says it
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), ignored);
  SQLite::Database database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeout_ms);
  if (database.execAndGet("PRAGMA user_version").getInt() == 0) make_schema(database, file);
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version != kSchemaVersion)
    fail(file, "open", "its schema has version " + std::to_string(version) + ", this hawse knows " + std::to_string(kSchemaVersion),
         "a newer hawse wrote it: use that one, or move the file away to begin a new record");
  database.exec("PRAGMA foreign_keys = ON");
  database.exec("PRAGMA synchronous = NORMAL");
  return database;
}

// What has no columns of its own, as JSON. A text of a peer or a node may hold any bytes.
std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string machine_text(const Machine& machine) { return text_of(json_of(machine)); }

Machine machine_from(const json& kept) {
  return {kept.at("cpu"),      kept.at("kernel"), kept.at("memory"), kept.at("os"),  kept.at("engine"),
          kept.at("compiler"), kept.at("python"), kept.at("cores"),  kept.at("more")};
}

std::string targets_text(const std::vector<Target>& targets) {
  json all = json::array();
  for (const Target& target : targets)
    all.push_back({{"text", target.text},
                   {"of", target.of},
                   {"statistic", word_of(target.statistic)},
                   {"relation", word_of(target.relation)},
                   {"limit", target.limit},
                   {"against", target.against}});
  return text_of(all);
}

std::vector<Target> targets_from(const json& kept) {
  std::vector<Target> targets;
  for (const json& one : kept)
    targets.push_back({one.at("text"), one.at("of"), from_word<Statistic>(one.at("statistic").get<std::string>()),
                       from_word<Target::Relation>(one.at("relation").get<std::string>()), one.at("limit"), one.at("against")});
  return targets;
}

std::string facts_text(const std::vector<Fact>& facts) {
  json all = json::array();
  for (const Fact& fact : facts)
    all.push_back({{"what", fact.what}, {"variant", fact.variant}, {"seen", fact.seen}, {"ok", fact.ok ? json(*fact.ok) : json()}});
  return text_of(all);
}

std::vector<Fact> facts_from(const json& kept) {
  std::vector<Fact> facts;
  for (const json& one : kept)
    facts.push_back(
        {one.at("what"), one.at("variant"), one.at("seen"), one.at("ok").is_null() ? std::nullopt : std::optional(one.at("ok").get<bool>())});
  return facts;
}

template <class... Values>
std::int64_t insert(SQLite::Database& database, const char* into, const Values&... values) {
  std::string sql = std::string("INSERT INTO ") + into + " VALUES(NULL";
  for (std::size_t i = 0; i < sizeof...(values); ++i) sql += ", ?";
  SQLite::Statement statement(database, sql + ")");
  SQLite::bind(statement, values...);
  statement.exec();
  return database.getLastInsertRowid();
}

void insert_series(SQLite::Database& database, std::int64_t row, const Series& series) {
  const SeriesSpec& spec = series.spec;
  SQLite::Statement statement(database, "INSERT INTO series VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  SQLite::bind(statement, row, spec.key, spec.variant, word_of(spec.role), spec.unit, word_of(spec.wait), word_of(spec.payload));
  if (spec.x) statement.bind(8, *spec.x);
  statement.bind(9, spec.x_name);
  statement.bind(10, spec.phase_of);
  statement.bind(11, spec.operations_per_sample);
  statement.bind(12, series.version);
  statement.bind(13, series.missing);
  statement.exec();
  const std::int64_t id = database.getLastInsertRowid();
  SQLite::Statement batches(database, "INSERT INTO batches VALUES(NULL, ?, ?, ?, ?)");
  for (const Batch& batch : series.batches) {
    batches.reset();
    SQLite::bind(batches, id, batch.pass, word_of(batch.placement));
    batches.bindNoCopy(4, batch.values.data(), static_cast<int>(batch.values.size() * sizeof(float)));
    batches.exec();
  }
}

std::vector<Batch> read_batches(SQLite::Database& database, std::int64_t series) {
  std::vector<Batch> batches;
  SQLite::Statement query(database, "SELECT pass, placement, samples FROM batches WHERE series = ? ORDER BY id");
  query.bind(1, series);
  while (query.executeStep()) {
    const SQLite::Column blob = query.getColumn(2);
    const auto size = static_cast<std::size_t>(blob.getBytes());
    if (size % sizeof(float) != 0) throw SQLite::Exception("a batch of samples is cut off");
    Batch batch{query.getColumn(0).getUInt(), from_word<Placement>(query.getColumn(1).getString()), std::vector<float>(size / sizeof(float))};
    if (size > 0) std::memcpy(batch.values.data(), blob.getBlob(), size);
    batches.push_back(std::move(batch));
  }
  return batches;
}

std::vector<Series> read_series(SQLite::Database& database, std::int64_t row) {
  std::vector<Series> all;
  SQLite::Statement query(database,
                          "SELECT id, key, variant, role, unit, wait, payload, x, x_name, phase_of, operations_per_sample, version, missing "
                          "FROM series WHERE result_row = ? ORDER BY id");
  query.bind(1, row);
  while (query.executeStep()) {
    const auto text = [&](int column) { return query.getColumn(column).getString(); };
    Series series;
    series.spec = {text(1), text(2), from_word<Role>(text(3)),     text(4), from_word<Wait>(text(5)), from_word<Payload>(text(6)), std::nullopt,
                   text(8), text(9), query.getColumn(10).getUInt()};
    if (!query.isColumnNull(7)) series.spec.x = query.getColumn(7).getDouble();
    series.version = text(11);
    series.missing = text(12);
    series.batches = read_batches(database, query.getColumn(0).getInt64());
    all.push_back(std::move(series));
  }
  return all;
}

std::vector<Row> read_rows(SQLite::Database& database, std::int64_t run) {
  std::vector<Row> rows;
  SQLite::Statement query(database,
                          "SELECT id, name, heading, title, measured, better, missing, targets, facts FROM result_rows WHERE run = ? ORDER BY id");
  query.bind(1, run);
  while (query.executeStep()) {
    const auto text = [&](int column) { return query.getColumn(column).getString(); };
    rows.push_back({text(1), text(2), text(3), text(4), from_word<Better>(text(5)), targets_from(json::parse(text(7))), text(6),
                    read_series(database, query.getColumn(0).getInt64()), facts_from(json::parse(text(8)))});
  }
  return rows;
}

Run read_run(SQLite::Database& database, std::int64_t id) {
  SQLite::Statement query(database,
                          "SELECT started_s, seconds, command, effort, version, commit_hash, near_ns, far_ns, machine FROM runs WHERE id = ?");
  query.bind(1, id);
  if (!query.executeStep()) throw SQLite::Exception("run " + std::to_string(id) + " was removed meanwhile");
  const auto text = [&](int column) { return query.getColumn(column).getString(); };
  Run run;
  run.id = id;
  run.started_s = query.getColumn(0).getInt64();
  run.seconds = query.getColumn(1).getInt64();
  run.command = text(2);
  run.effort = text(3);
  run.version = text(4);
  run.commit = text(5);
  run.near_ns = query.getColumn(6).getDouble();
  run.far_ns = query.getColumn(7).getDouble();
  run.machine = machine_from(json::parse(text(8)));
  run.rows = read_rows(database, id);
  return run;
}

bool only(const std::string& text, const char* characters) { return !text.empty() && text.find_first_not_of(characters) == std::string::npos; }
constexpr const char* kDigits = "0123456789";
constexpr const char* kHexDigits = "0123456789abcdef";

template <class... Values>
std::optional<std::int64_t> one_id(SQLite::Database& database, const char* sql, const Values&... values) {
  SQLite::Statement query(database, sql);
  SQLite::bind(query, values...);
  if (!query.executeStep()) return std::nullopt;
  return query.getColumn(0).getInt64();
}

std::optional<std::int64_t> find_run(SQLite::Database& database, const std::string& which) {
  if (which == "last") return one_id(database, "SELECT id FROM runs ORDER BY id DESC LIMIT 1 OFFSET ?", 0);
  const std::string back = which.rfind("last~", 0) == 0 ? which.substr(5) : "";
  if (only(back, kDigits) && back.size() < 10) return one_id(database, "SELECT id FROM runs ORDER BY id DESC LIMIT 1 OFFSET ?", std::stoi(back));
  if (only(which, kDigits) && which.size() < 19)
    if (const auto id = one_id(database, "SELECT id FROM runs WHERE id = ?", static_cast<std::int64_t>(std::stoll(which)))) return id;
  if (const auto id = one_id(database, "SELECT run FROM baselines WHERE name = ?", which)) return id;
  if (only(which, kHexDigits) && which.size() >= 4)
    return one_id(database, "SELECT id FROM runs WHERE substr(commit_hash, 1, ?) = ? ORDER BY id DESC LIMIT 1",
                  static_cast<std::int64_t>(which.size()), which);
  return std::nullopt;
}

[[noreturn]] void no_run(const std::string& what) {
  throw Error(ErrorCode::usage, "find a benchmark run", what, "`hawse bench history` lists the runs and baselines");
}

}  // namespace

struct Record::State {
  std::filesystem::path file;
  SQLite::Database database;

  template <class Work>
  static auto with(const std::filesystem::path& file, const char* operation, Work work) {
    try {
      return work();
    } catch (const SQLite::Exception& error) {
      const int code = error.getErrorCode();
      const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
      fail(file, operation, error.what(),
           damaged ? "the file is damaged: move it away to begin a new record" : "check that the file and its folder can be written");
    } catch (const json::exception& error) {
      fail(file, operation, error.what(), "the file is damaged: move it away to begin a new record");
    }
  }
  template <class Work>
  auto with(const char* operation, Work work) {
    return with(file, operation, work);
  }
  void require(std::int64_t id) {
    if (!with("find a run", [&] { return one_id(database, "SELECT id FROM runs WHERE id = ?", id); }))
      no_run("there is no run " + std::to_string(id));
  }
};

std::filesystem::path Record::default_file() { return state_dir() / "bench.sqlite"; }

Record::Record(const std::filesystem::path& file)
    : state_(State::with(file, "open", [&] {
        return std::unique_ptr<State>(new State{file, open_database(file)});
      })) {}
Record::Record(Record&&) noexcept = default;
Record& Record::operator=(Record&&) noexcept = default;
Record::~Record() = default;

std::int64_t Record::save(const Run& run) {
  return state_->with("keep a run", [&] {
    SQLite::Database& database = state_->database;
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    const std::int64_t id = insert(database, "runs", run.started_s, run.seconds, run.command, run.effort, run.version, run.commit, run.near_ns,
                                   run.far_ns, machine_text(run.machine));
    for (const Row& row : run.rows) {
      const std::int64_t row_id = insert(database, "result_rows", id, row.id, row.group, row.title, row.measured, word_of(row.better), row.missing,
                                         targets_text(row.targets), facts_text(row.facts));
      for (const Series& series : row.series) insert_series(database, row_id, series);
    }
    transaction.commit();
    return id;
  });
}

std::int64_t Record::find(const std::string& which) {
  const auto id = state_->with("find a run", [&] { return find_run(state_->database, which); });
  if (!id && which.rfind("last", 0) == 0) no_run("there is no run '" + which + "' in " + state_->file.string());
  if (!id) no_run("'" + which + "' is neither a run's number, nor a baseline, nor the beginning of a commit that was measured");
  return *id;
}

Run Record::load(const std::string& which) {
  const std::int64_t id = find(which);
  return state_->with("read a run", [&] {
    const SQLite::Transaction one_state_of_the_file(state_->database);
    return read_run(state_->database, id);
  });
}

std::vector<RunSummary> Record::list() {
  return state_->with("list the runs", [&] {
    std::vector<RunSummary> runs;
    SQLite::Statement query(
        state_->database,
        "SELECT id, started_s, seconds, command, effort, version, commit_hash, (SELECT count(*) FROM result_rows WHERE run = runs.id), "
        "(SELECT count(DISTINCT series.id) FROM result_rows JOIN series ON series.result_row = result_rows.id JOIN batches ON "
        "batches.series = series.id WHERE result_rows.run = runs.id) FROM runs ORDER BY id DESC");
    while (query.executeStep()) {
      const auto text = [&](int column) { return query.getColumn(column).getString(); };
      runs.push_back({query.getColumn(0).getInt64(),
                      query.getColumn(1).getInt64(),
                      query.getColumn(2).getInt64(),
                      text(3),
                      text(4),
                      text(5),
                      text(6),
                      static_cast<std::size_t>(query.getColumn(7).getInt64()),
                      static_cast<std::size_t>(query.getColumn(8).getInt64()),
                      {}});
    }
    for (const Baseline& baseline : baselines())
      for (RunSummary& run : runs)
        if (run.id == baseline.run) run.baselines.push_back(baseline.name);
    return runs;
  });
}

void Record::remove(std::int64_t id) {
  for (const Baseline& baseline : baselines())
    if (baseline.run == id)
      throw Error(ErrorCode::usage, "remove a benchmark run", "run " + std::to_string(id) + " is the baseline '" + baseline.name + "'",
                  "remove the baseline first");
  state_->require(id);
  state_->with("remove a run", [&] {
    SQLite::Statement erase(state_->database, "DELETE FROM runs WHERE id = ?");
    erase.bind(1, id);
    erase.exec();
    state_->database.exec("PRAGMA incremental_vacuum");
  });
}

void Record::set_baseline(const std::string& name, std::int64_t id) {
  constexpr const char* kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (!only(name, kAllowed) || only(name, kDigits) || name == "last")
    throw Error(ErrorCode::usage, "name a baseline", "'" + name + "' can't be a baseline's name",
                "use letters, digits, `.`, `_` and `-`; not digits alone, not `last`");
  state_->require(id);
  state_->with("name a baseline", [&] {
    SQLite::Statement put(state_->database, "INSERT OR REPLACE INTO baselines VALUES(?, ?)");
    SQLite::bind(put, name, id);
    put.exec();
  });
}

void Record::remove_baseline(const std::string& name) {
  const int removed = state_->with("remove a baseline", [&] {
    SQLite::Statement erase(state_->database, "DELETE FROM baselines WHERE name = ?");
    erase.bind(1, name);
    return erase.exec();
  });
  if (removed == 0)
    throw Error(ErrorCode::usage, "remove a baseline", "there is no baseline '" + name + "'", "`hawse bench history` lists the runs and baselines");
}

std::vector<Baseline> Record::baselines() {
  return state_->with("list the baselines", [&] {
    std::vector<Baseline> all;
    SQLite::Statement query(state_->database, "SELECT name, run FROM baselines ORDER BY name");
    while (query.executeStep()) all.push_back({query.getColumn(0).getString(), query.getColumn(1).getInt64()});
    return all;
  });
}

}  // namespace hawse::bench
