// A query loop whose SQL functions are written in Python: each thread is attached to an interpreter of its
// own, so the database calls Python in the middle of a statement, on the thread that runs it, and all threads
// do so at once.
#include <interpool/interpool.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

/// What the SQL functions do, in Python: defined once in each interpreter that is attached.
constexpr const char* kFunctions = R"(
import re, unicodedata

def slug(title):
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")

def discount(price, percent):
    if not 0 <= percent <= 100:
        raise ValueError(f"a discount of {percent} %")
    return round(price * (100 - percent) / 100, 2)
)";

std::string text_of(sqlite3_value* value) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return text == nullptr ? std::string()
                         : std::string(text, static_cast<std::size_t>(sqlite3_value_bytes(value)));
}

/// An error of Python's becomes the error of the statement.
template <class Call>
void answer(sqlite3_context* context, Call call) {
  try {
    call();
  } catch (const interpool::PythonError& error) {
    sqlite3_result_error(context, (error.type() + ": " + error.python_message()).c_str(), -1);
  } catch (const std::exception& error) {
    sqlite3_result_error(context, error.what(), -1);
  }
}

/// A connection of one thread, and the Python functions that its statements can call.
class Session {
 public:
  Session(const std::string& path, interpool::AttachedThread& python)
      : database_(path, SQLite::OPEN_READWRITE),
        slug_(python.function<std::string(std::string)>("__main__:slug")),
        discount_(python.function<double(double, double)>("__main__:discount")) {
    database_.setBusyTimeout(10'000);
    database_.createFunction(
        "slug", 1, true, this, [](sqlite3_context* context, int, sqlite3_value** values) {
          answer(context, [&] {
            const std::string slug = self(context).slug_(text_of(values[0]));
            sqlite3_result_text(context, slug.data(), static_cast<int>(slug.size()), SQLITE_TRANSIENT);
          });
        });
    database_.createFunction(
        "discount", 2, true, this, [](sqlite3_context* context, int, sqlite3_value** values) {
          answer(context, [&] {
            sqlite3_result_double(context, self(context).discount_(sqlite3_value_double(values[0]),
                                                                   sqlite3_value_double(values[1])));
          });
        });
  }

  SQLite::Database& database() { return database_; }

 private:
  static Session& self(sqlite3_context* context) {
    return *static_cast<Session*>(sqlite3_user_data(context));
  }

  SQLite::Database database_;
  interpool::AttachedFunction<std::string(std::string)> slug_;
  interpool::AttachedFunction<double(double, double)> discount_;
};

void fill(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec(
      "PRAGMA journal_mode = WAL; CREATE TABLE product (id INTEGER PRIMARY KEY, title TEXT, price REAL)");
  SQLite::Statement insert(database, "INSERT INTO product (title, price) VALUES (?, ?)");
  for (int i = 0; i < 1000; ++i) {
    insert.bind(1, "Café № " + std::to_string(i));
    insert.bind(2, i / 4.0);
    insert.exec();
    insert.reset();
  }
}

/// What one thread finds among its share of the products.
struct Answer {
  std::string first_slug;
  double total = 0;
  std::string error;
};

Answer query(const interpool::SubinterpreterExecutor& pool, const std::string& path, int part, int parts) {
  interpool::AttachedThread python = pool.attach();
  python.run([](interpool::Worker& worker) { worker.exec(kFunctions); });
  Session session(path, python);
  Answer answer;
  SQLite::Statement select(
      session.database(),
      "SELECT slug(title), discount(price, 20) FROM product WHERE id % ? = ? ORDER BY id");
  select.bind(1, parts);
  select.bind(2, part);
  while (select.executeStep()) {
    if (answer.first_slug.empty()) answer.first_slug = select.getColumn(0).getString();
    answer.total += select.getColumn(1).getDouble();
  }
  try {
    session.database().execAndGet("SELECT discount(1.0, 250)");
  } catch (const SQLite::Exception& error) {
    answer.error = error.what();
  }
  return answer;
}

/// A new folder that nobody else may write to, removed at the end.
struct Folder {
  Folder() {
    if (mkdtemp(path.data()) == nullptr) throw std::system_error(errno, std::generic_category(), path);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path = (std::filesystem::temp_directory_path() / "interpool-udf-XXXXXX").string();
};

}  // namespace

int main() try {
  const Folder folder;
  const std::string path = folder.path + "/products.sqlite";
  fill(path);

  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.name = "udf", .pinned_workers = 1});
  constexpr int kThreads = 4;
  std::vector<Answer> answers(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { answers[static_cast<std::size_t>(i)] = query(pool, path, i, kThreads); });
  }
  for (std::thread& thread : threads) thread.join();

  double total = 0;
  for (const Answer& answer : answers) {
    std::printf("%s\n", answer.first_slug.c_str());
    total += answer.total;
  }
  std::printf("total after the discount: %.2f\n", total);
  std::printf("%s\n", answers[0].error.c_str());
  const interpool::ExecutorReport report = pool.stop({});
  return report.drained && report.attached_left == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
  std::fprintf(stderr, "udf: %s\n", error.what());
  return EXIT_FAILURE;
}
