// A folder whose files are damaged one after the other, as disks and people do it, and put right again: for the tests
// that no damage passes. SINK_DAMAGES sets how many they try (default 500). One thread.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace sink::testing {

inline int Damages() {
  const char* const text = std::getenv("SINK_DAMAGES");
  return text == nullptr ? 500 : std::atoi(text);
}

class DamagedFolder {
 public:
  // Its files but for those with a dot first, as they are now, are whole.
  explicit DamagedFolder(const std::filesystem::path& folder) : folder_(folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name.front() == '.') continue;
      std::ifstream in(entry.path(), std::ios::binary);
      whole_[name].assign(std::istreambuf_iterator<char>(in), {});
      names_.push_back(name);
    }
  }

  // Puts right what was damaged before, does something else, and says what.
  std::string Damage(std::mt19937& random) {
    Repair();
    const std::string& name = names_[random() % names_.size()];
    const std::string& bytes = whole_.at(name);
    touched_ = {name};
    std::string damaged = bytes;
    switch (random() % 8) {
      case 0:
        std::filesystem::remove(folder_ / name);
        return name + " is gone";
      case 1:
        return Put(name, bytes + std::string(1 + random() % 64, '\0'), "has grown");
      case 2:
        damaged.resize(bytes.empty() ? 0 : random() % bytes.size());
        break;
      case 3: {  // a sector that was never written
        const size_t begin = bytes.empty() ? 0 : random() % bytes.size();
        damaged.replace(begin, 512, std::string(std::min<size_t>(512, bytes.size() - begin), '\0'));
        break;
      }
      case 4: {
        const std::string& other = names_[random() % names_.size()];
        if (whole_.at(other) == bytes) break;
        touched_.push_back(other);
        Put(other, bytes, "");
        return Put(name, whole_.at(other), "and " + other + " have changed places");
      }
      case 5: {
        const std::filesystem::path copy = folder_.string() + ".copy";
        std::ofstream(copy, std::ios::binary) << bytes;
        std::filesystem::remove(folder_ / name);
        std::filesystem::create_symlink(copy, folder_ / name);
        return name + " is a link to a copy";
      }
      default:
        break;
    }
    if (damaged != bytes) return Put(name, damaged, "has lost bytes");
    if (bytes.empty()) return Put(name, "x", "has a byte too many");
    const size_t bit = random() % (8 * bytes.size());
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    return Put(name, damaged, "has bit " + std::to_string(bit) + " flipped");
  }

  void Repair() {
    for (const std::string& name : touched_) Put(name, whole_.at(name), "");
    touched_.clear();
  }

 private:
  std::string Put(const std::string& name, const std::string& bytes, const std::string& what) {
    std::filesystem::remove(folder_ / name);  // it may be a link
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return name + " " + what;
  }

  const std::filesystem::path folder_;
  std::map<std::string, std::string> whole_;
  std::vector<std::string> names_, touched_;
};

}  // namespace sink::testing
