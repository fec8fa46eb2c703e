#include "walk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <unordered_set>
#include <utility>

#include <sys/stat.h>

namespace indexer {
namespace {

namespace fs = std::filesystem;

std::int64_t mtime_ns(const struct stat& info) {
#ifdef __APPLE__
  const timespec& time = info.st_mtimespec;
#else
  const timespec& time = info.st_mtim;
#endif
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

/// Whether the text is well-formed UTF-8, as the index and JSON need it. A file's name can be any bytes.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = 0;
    char32_t least = 0;
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if ((lead & 0xE0) == 0xC0) {
      length = 2, least = 0x80;
    } else if ((lead & 0xF0) == 0xE0) {
      length = 3, least = 0x800;
    } else if ((lead & 0xF8) == 0xF0) {
      length = 4, least = 0x10000;
    } else {
      return false;
    }
    if (text.size() - i < length) return false;
    char32_t code = lead & (0xFFU >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      code = (code << 6U) | (next & 0x3FU);
    }
    if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

bool is_below(std::string_view path, std::string_view directory) {
  if (!path.starts_with(directory)) return false;
  return directory.ends_with('/') || path.substr(directory.size()).starts_with('/');
}

}  // namespace

WalkResult walk(const fs::path& root, const std::unordered_map<std::string, KnownFile>& known,
                const std::stop_token& stop, const FailedPath& failed) {
  WalkResult result;
  std::unordered_set<std::string> seen;
  std::vector<std::string> unreadable;  // directories of which nothing is known, so nothing is gone
  const auto fail = [&](const std::string& path, std::string_view reason) {
    ++result.failed;
    failed(path, reason);
  };

  const auto look_at = [&](const std::string& path) {
    if (!is_utf8(path)) {
      fail(path, "its name is not UTF-8");
      return;
    }
    seen.insert(path);
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) {
      fail(path, std::generic_category().message(errno));
      return;
    }
    if (!S_ISREG(info.st_mode)) {
      // A pipe, say: to read it could take for ever.
      seen.erase(path);
      return;
    }
    FoundFile file{.path = path, .size = info.st_size, .mtime_ns = mtime_ns(info)};
    const auto before = known.find(path);
    if (before != known.end() && before->second.size == file.size &&
        before->second.mtime_ns == file.mtime_ns && !before->second.has_failed_embeddings) {
      ++result.unchanged;
    } else {
      result.to_index.push_back(std::move(file));
    }
  };

  std::vector<fs::path> directories{root};
  while (!directories.empty()) {
    const fs::path directory = std::move(directories.back());
    directories.pop_back();
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
      if (stop.stop_requested()) return result;
      const fs::directory_entry& entry = *at;
      if (entry.path().filename().native().starts_with('.')) continue;
      std::error_code ignored;  // what cannot be looked at is no directory, and look_at() says why
      if (entry.is_directory(ignored)) {
        if (!entry.is_symlink(ignored)) directories.push_back(entry.path());
      } else if (entry.path().extension() == ".py") {
        look_at(entry.path().string());
      }
    }
    if (error) {
      fail(directory.string(), error.message());
      unreadable.push_back(directory.string());
    }
  }

  for (const auto& [path, file] : known) {
    if (is_below(path, root.string()) && !seen.contains(path) &&
        std::none_of(unreadable.begin(), unreadable.end(), [&file_path = path](const std::string& directory) {
          return is_below(file_path, directory);
        })) {
      result.removed.push_back(path);
    }
  }
  std::sort(result.removed.begin(), result.removed.end());
  std::sort(result.to_index.begin(), result.to_index.end(),
            [](const FoundFile& a, const FoundFile& b) { return a.path < b.path; });
  result.complete = true;
  return result;
}

}  // namespace indexer
