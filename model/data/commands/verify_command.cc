// sink-data verify: reads every token of a packed set.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "model/base/data_error.h"
#include "model/data/commands/data_commands.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"

namespace sink::data {
namespace {

void Verify(const std::string& folder) {
  const PackedSet set = OpenSet(folder);
  int64_t tokens = 0;
  std::vector<int32_t> block(set.block);
  for (const SetFile& entry : set.files) {
    const PackedFile file(set.folder / entry.name);
    if (entry.blocks * set.block > file.header().tokens) {
      throw DataError(file.path() + ": shorter than set.json says; re-run sink-data pack");
    }
    for (int64_t i = 0; i < entry.blocks; ++i) {
      file.Read(i * set.block, block);
      for (const int32_t id : block) {
        if (id < 0 || (set.tokenizer && id >= set.tokenizer->vocab_size)) {
          throw DataError(file.path() + ": block " + std::to_string(i) + " holds id " + std::to_string(id) +
                          ", which the set's tokenizer does not have; re-run sink-data pack");
        }
      }
      tokens += set.block;
    }
  }
  std::printf("%s: %zu files, %lld tokens, all well\n", folder.c_str(), set.files.size(),
              static_cast<long long>(tokens));
}

}  // namespace

void AddVerifyCommand(args::Command program) {
  args::Command command = program.AddCommand("verify", "Check every file and every token of a packed set");
  auto folder = std::make_shared<std::string>();
  command.AddOption("set", *folder, "The set's folder").Required();
  command.SetFooter("Example: sink-data verify data/sample-bytes");
  command.OnParsed([folder] { Verify(*folder); });
}

}  // namespace sink::data
