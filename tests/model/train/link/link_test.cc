// The trainer's two links to its worker: records out, commands in.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "model/base/data_error.h"
#include "model/train/link/event_sink.h"
#include "model/train/link/train_error.h"
#include "model/train/link/trainer_commands.h"

namespace sink::train {
namespace {

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_), 0); }
  ~Pipe() {
    CloseReader();
    CloseWriter();
  }
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void CloseReader() { Close(ends_[0]); }
  void CloseWriter() { Close(ends_[1]); }
  void Write(std::string_view text) const {
    EXPECT_EQ(write(writer(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

 private:
  static void Close(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  int ends_[2];
};

TEST(EventSink, WritesOneRecordALine) {
  Pipe pipe;
  EventSink sink(pipe.writer());
  sink.Send(pipe::Finished{7});
  sink.Send(pipe::Log{"info", "two\nlines"});
  char bytes[512];
  const std::string text(bytes, static_cast<size_t>(read(pipe.reader(), bytes, sizeof bytes)));
  EXPECT_EQ(text, pipe::Encode(pipe::Finished{7}) + "\n" + pipe::Encode(pipe::Log{"info", "two\nlines"}) + "\n");
}

TEST(EventSink, LongRecordPassesAPipeThatIsRead) {
  Pipe pipe;
  std::string received;
  std::thread reader([&] {
    char bytes[4096];
    for (ssize_t n; (n = read(pipe.reader(), bytes, sizeof bytes)) > 0;) received.append(bytes, static_cast<size_t>(n));
  });
  EventSink(pipe.writer()).Send(pipe::Heatmap{1, "alpha/1", 100, 100, std::vector<double>(10000, 1.0 / 3)});
  pipe.CloseWriter();
  reader.join();
  EXPECT_GT(received.size(), 65536u);
  EXPECT_TRUE(pipe::Parse(std::string_view(received).substr(0, received.size() - 1)).event.has_value());
}

TEST(EventSink, ManyValuesTravelInSeveralRecords) {
  Pipe pipe;
  pipe::Metrics many{3, {}};
  for (int i = 0; i < 3000; ++i) many.values.emplace_back("m" + std::to_string(i), i);
  std::string received(1 << 16, '\0');
  EventSink(pipe.writer()).Send(many);
  received.resize(static_cast<size_t>(read(pipe.reader(), received.data(), received.size())));
  size_t values = 0, records = 0;
  for (size_t begin = 0, end; (end = received.find('\n', begin)) != std::string::npos; begin = end + 1, ++records)
    values += std::get<pipe::Metrics>(*pipe::Parse(received.substr(begin, end - begin)).event).values.size();
  EXPECT_EQ(values, 3000u);
  EXPECT_GT(records, 1u);
}

TEST(EventSink, LostReaderIsAnInfraError) {
  signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  pipe.CloseReader();
  EXPECT_THROW(EventSink(pipe.writer()).Send(pipe::Finished{1}), InfraError);
}

TEST(EventSink, DescriptorMustBeOpen) {
  setenv("SINK_TEST_FD", "999", 1);
  EXPECT_THROW(DescriptorFromEnvironment("SINK_TEST_FD"), UserError);
  setenv("SINK_TEST_FD", "3x", 1);
  EXPECT_THROW(DescriptorFromEnvironment("SINK_TEST_FD"), UserError);
  unsetenv("SINK_TEST_FD");
  EXPECT_EQ(DescriptorFromEnvironment("SINK_TEST_FD"), -1);
  Pipe pipe;
  setenv("SINK_TEST_FD", std::to_string(pipe.writer()).c_str(), 1);
  EXPECT_EQ(DescriptorFromEnvironment("SINK_TEST_FD"), pipe.writer());
  EXPECT_EQ(fcntl(pipe.writer(), F_GETFD), FD_CLOEXEC);
  unsetenv("SINK_TEST_FD");
}

TEST(TrainError, DataThatTheMachineCannotReadIsItsFault) {
  EXPECT_EQ(Classify(data::DataError("damaged")).failure_class, pipe::FailureClass::kUser);
  EXPECT_EQ(Classify(data::MachineError("no descriptors")).failure_class, pipe::FailureClass::kInfra);
}

TEST(TrainerCommands, LinesArriveInAnyPieces) {
  Pipe pipe;
  TrainerCommands commands(pipe.reader());
  EXPECT_FALSE(commands.TakeCheckpointRequest());
  pipe.Write("check");
  EXPECT_FALSE(commands.TakeCheckpointRequest());
  pipe.Write("point_now\nst");
  EXPECT_TRUE(commands.TakeCheckpointRequest());
  EXPECT_FALSE(commands.TakeCheckpointRequest());
  EXPECT_FALSE(commands.StopRequested());
  pipe.Write("op\n");
  EXPECT_TRUE(commands.StopRequested());
  EXPECT_TRUE(commands.StopRequested());
}

TEST(TrainerCommands, UnknownAndEndlessWordsAreSkipped) {
  Pipe pipe;
  TrainerCommands commands(pipe.reader());
  pipe.Write("dance\n" + std::string(5000, 's') + "stop\nstop now\n");
  EXPECT_FALSE(commands.StopRequested());
  pipe.Write("stop\n");
  EXPECT_TRUE(commands.StopRequested());
}

TEST(TrainerCommands, ClosedPipeIsNotACommand) {
  Pipe pipe;
  TrainerCommands commands(pipe.reader());
  pipe.CloseWriter();
  EXPECT_FALSE(commands.StopRequested());
  EXPECT_FALSE(commands.StopRequested());
}

TEST(TrainerCommands, SignalsMeanStop) {
  const auto before = signal(SIGHUP, SIG_DFL);  // whatever the tests themselves were started by
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    TrainerCommands commands(-1);
    EXPECT_FALSE(commands.StopRequested());
    raise(number);
    EXPECT_TRUE(commands.StopRequested());
  }
  signal(SIGHUP, before);
}

TEST(TrainerCommands, AHangupThatWasIgnoredBeforeMeansNothing) {
  const auto before = signal(SIGHUP, SIG_IGN);  // as by nohup
  {
    TrainerCommands commands(-1);
    raise(SIGHUP);
    EXPECT_FALSE(commands.StopRequested());
  }
  EXPECT_EQ(signal(SIGHUP, before), SIG_IGN) << "as it was";
}

}  // namespace
}  // namespace sink::train
