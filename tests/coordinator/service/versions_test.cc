// Two versions of the protocol against each other: workers and clients of an older release, and of one that is yet to
// come, at this coordinator, message for message over a real port. The older protocol is tests/golden/protocol; the
// newer one is ours with a field more in each message.
#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/json_util.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "proto/pipe/events.h"
#include "tests/coordinator/service/access_fixture.h"

namespace sink {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::Message;
using google::protobuf::ServiceDescriptor;
using nlohmann::json;

constexpr char kFuture[] = "from_the_future";
constexpr int kFutureNumber = 20'000;
const char* const kFiles[] = {"sink/v1/job.proto", "sink/v1/error.proto", "sink/v1/client.proto",
                              "sink/v1/worker.proto", "sink/v1/identity.proto"};

FileDescriptorSet Ours() {
  FileDescriptorSet set;
  google::protobuf::Any::descriptor()->file()->CopyTo(set.add_file());  // which error.proto imports
  for (const char* name : kFiles) {
    const FileDescriptor* file = DescriptorPool::generated_pool()->FindFileByName(name);
    EXPECT_NE(file, nullptr) << name;
    if (file != nullptr) file->CopyTo(set.add_file());
  }
  return set;
}

// As deploy/bootstrap.sh's protoc has compiled tests/golden/protocol/VERSION.
FileDescriptorSet Older() {
  FileDescriptorSet set;
  const char* path = std::getenv("SINK_OLDER_PROTOCOL");  // set by CTest
  std::ifstream file(path == nullptr ? "" : path, std::ios::binary);
  EXPECT_TRUE(set.ParseFromIstream(&file)) << "no older protocol at $SINK_OLDER_PROTOCOL";
  return set;
}

void AddFutureField(DescriptorProto* message) {
  for (DescriptorProto& inner : *message->mutable_nested_type())
    if (!inner.options().map_entry()) AddFutureField(&inner);
  auto* const field = message->add_field();
  field->set_name(kFuture);
  field->set_number(kFutureNumber);
  field->set_type(google::protobuf::FieldDescriptorProto::TYPE_STRING);
  field->set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
}

FileDescriptorSet Newer() {
  FileDescriptorSet set = Ours();
  for (FileDescriptorProto& file : *set.mutable_file())
    for (DescriptorProto& message : *file.mutable_message_type())
      if (file.package() == "sink.v1") AddFutureField(&message);
  return set;
}

// A version of the protocol, by which messages are written and read.
class Protocol {
 public:
  explicit Protocol(const FileDescriptorSet& files) {
    for (const FileDescriptorProto& file : files.file()) EXPECT_NE(pool_.BuildFile(file), nullptr) << file.name();
  }
  const DescriptorPool& pool() const { return pool_; }

  std::unique_ptr<Message> Make(const std::string& name) {
    const Descriptor* type = pool_.FindMessageTypeByName("sink.v1." + name);
    EXPECT_NE(type, nullptr) << name;
    return std::unique_ptr<Message>(factory_.GetPrototype(type)->New());
  }

  // The method of a service, called over the channel with a message as it is in JSON.
  absl::StatusOr<json> Call(grpc::Channel* channel, const std::string& service, const std::string& name,
                            const json& request) {
    const ServiceDescriptor* type = pool_.FindServiceByName("sink.v1." + service);
    const auto* method = type == nullptr ? nullptr : type->FindMethodByName(name);
    if (method == nullptr) return absl::NotFoundError(service + "/" + name);
    const std::unique_ptr<Message> question = Make(method->input_type()->name());
    const auto read = google::protobuf::util::JsonStringToMessage(request.dump(), question.get());
    if (!read.ok()) return absl::InvalidArgumentError(read.ToString());
    Mark(question.get());
    const std::string path = "/sink.v1." + service + "/" + name;
    const grpc::internal::RpcMethod call(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    grpc::Slice slice(question->SerializeAsString());
    const grpc::ByteBuffer sent(&slice, 1);
    grpc::ByteBuffer received;
    const grpc::Status status =
        grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(channel, call, &context, sent, &received);
    if (!status.ok()) return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
    grpc::Slice whole;
    if (!received.DumpToSingleSlice(&whole).ok()) return absl::InternalError("no answer");
    const std::unique_ptr<Message> answer = Make(method->output_type()->name());
    if (!answer->ParseFromArray(whole.begin(), static_cast<int>(whole.size())))
      return absl::DataLossError("the answer is not of this version");
    std::string text;
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    options.always_print_primitive_fields = true;
    if (!google::protobuf::util::MessageToJsonString(*answer, &text, options).ok())
      return absl::InternalError("the answer is no JSON");
    return json::parse(text);
  }

 private:
  // Writes the future's field, where there is one, into the message and all in it.
  static void Mark(Message* message) {
    const auto* reflection = message->GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection->ListFields(*message, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
      if (!field->is_repeated()) Mark(reflection->MutableMessage(message, field));
      for (int i = 0; field->is_repeated() && i < reflection->FieldSize(*message, field); ++i)
        Mark(reflection->MutableRepeatedMessage(message, field, i));
    }
    if (const FieldDescriptor* future = message->GetDescriptor()->FindFieldByName(kFuture))
      reflection->SetString(message, future, "what nobody knows yet");
  }

  DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory factory_;
};

// What differs between the types of a field in two versions; nothing when bytes mean the same.
std::string Difference(const FieldDescriptor& before, const FieldDescriptor& now) {
  if (before.type() != now.type()) return "its type";
  if (before.is_repeated() != now.is_repeated()) return "whether it is a list";
  if (before.name() != now.name()) return "its name, in JSON";
  if (before.message_type() != nullptr && before.message_type()->full_name() != now.message_type()->full_name())
    return "its message";
  if (before.enum_type() != nullptr && before.enum_type()->full_name() != now.enum_type()->full_name())
    return "its enum";
  return "";
}

void CompareMessages(const Descriptor& before, const DescriptorPool& pool) {
  const Descriptor* now = pool.FindMessageTypeByName(before.full_name());
  ASSERT_NE(now, nullptr) << before.full_name() << " has gone";
  for (int i = 0; i < before.field_count(); ++i) {
    const FieldDescriptor& field = *before.field(i);
    const FieldDescriptor* same = now->FindFieldByNumber(field.number());
    if (same == nullptr) {
      EXPECT_TRUE(now->IsReservedNumber(field.number()))
          << field.full_name() << " has gone, and its number is not reserved";
      continue;
    }
    EXPECT_EQ(Difference(field, *same), "") << field.full_name() << " is another field now";
  }
  for (int i = 0; i < before.nested_type_count(); ++i) CompareMessages(*before.nested_type(i), pool);
}

void CompareEnums(const EnumDescriptor& before, const DescriptorPool& pool) {
  const EnumDescriptor* now = pool.FindEnumTypeByName(before.full_name());
  ASSERT_NE(now, nullptr) << before.full_name() << " has gone";
  for (int i = 0; i < before.value_count(); ++i) {
    const auto* value = now->FindValueByNumber(before.value(i)->number());
    ASSERT_NE(value, nullptr) << before.value(i)->full_name() << " has gone";
    EXPECT_EQ(value->name(), before.value(i)->name());
  }
}

void CompareServices(const ServiceDescriptor& before, const DescriptorPool& pool) {
  const ServiceDescriptor* now = pool.FindServiceByName(before.full_name());
  ASSERT_NE(now, nullptr) << before.full_name() << " has gone";
  for (int i = 0; i < before.method_count(); ++i) {
    const auto& method = *before.method(i);
    const auto* same = now->FindMethodByName(method.name());
    ASSERT_NE(same, nullptr) << method.full_name() << " has gone";
    EXPECT_EQ(same->input_type()->full_name(), method.input_type()->full_name());
    EXPECT_EQ(same->output_type()->full_name(), method.output_type()->full_name());
    EXPECT_EQ(same->client_streaming(), method.client_streaming());
    EXPECT_EQ(same->server_streaming(), method.server_streaming());
  }
}

TEST(Versions, NothingThatAnOlderProgramSendsOrReadsHasChangedItsMeaning) {
  Protocol older(Older());
  const DescriptorPool& now = *DescriptorPool::generated_pool();
  for (const char* name : kFiles) {
    const FileDescriptor* file = older.pool().FindFileByName(name);
    ASSERT_NE(file, nullptr) << name;
    for (int i = 0; i < file->message_type_count(); ++i) CompareMessages(*file->message_type(i), now);
    for (int i = 0; i < file->enum_type_count(); ++i) CompareEnums(*file->enum_type(i), now);
    for (int i = 0; i < file->service_count(); ++i) CompareServices(*file->service(i), now);
  }
}

class VersionsTest : public testing::AccessTest {
 protected:
  // A job from its submission to its end, by a client and a worker of that version.
  void RunAJob(Protocol& protocol, const std::string& version) {
    const Channel worker = ChannelOf(testing::JoinAs(server_->address(), admin_folder(), testing::kWorkerId));
    const Channel client = ChannelOf(*identity::ReadCredential(admin_folder()));
    const auto call = [&](const Channel& channel, const std::string& service, const std::string& method,
                          const json& request) -> json {
      const auto answer = protocol.Call(channel.get(), service, method, request);
      EXPECT_TRUE(answer.ok()) << method << ": " << answer.status();
      return answer.ok() ? *answer : json::object();
    };
    const json me = {{"worker_id", testing::kWorkerId}, {"session", testing::kSession}};
    const auto with = [&me](json more) {
      more.update(me);
      return more;
    };
    const json submitted = call(client, "ClientService", "SubmitSweep",
                                {{"request_id", testing::RequestId(1)},
                                 {"entry", "sweep.yaml"},
                                 {"files", {{{"path", "sweep.yaml"}, {"text", testing::SweepYaml("study", "1e-3")}}}}});
    ASSERT_EQ(submitted["added"], 1);
    call(worker, "WorkerService", "Register",
         with({{"name", "node-1"}, {"devices", 1}, {"device_kind", "cpu"}, {"version", version}}));
    const json leased = call(worker, "WorkerService", "Lease", with({{"poll", "1"}, {"devices_free", 1}}));
    ASSERT_EQ(leased["grants"].size(), 1u) << leased;
    const json lease = leased["grants"][0]["lease"];
    json events = json::array();
    for (const pipe::Event& event : std::vector<pipe::Event>{
             pipe::Hello{.pid = 7, .device = "cpu", .max_steps = 100, .parameters = 9},
             pipe::Metrics{.step = 1, .values = {{"train_loss", 2.5}}}, pipe::Finished{.step = 100}})
      events.push_back({{"seq", std::to_string(events.size() + 1)}, {"record", pipe::Encode(event)}, {"time_ms", "5"}});
    const json reported = call(worker, "WorkerService", "Report",
                               {{"worker_id", testing::kWorkerId}, {"lease", lease}, {"events", events}});
    EXPECT_EQ(reported["durable_seq"], "3");
    call(worker, "WorkerService", "Heartbeat",
         with({{"held", {{{"lease", lease}, {"phase", "FINALIZING"}}}}, {"devices_free", 0}}));
    const json finished =
        call(worker, "WorkerService", "Finish",
             {{"worker_id", testing::kWorkerId}, {"lease", lease}, {"outcome", "SUCCEEDED"}, {"last_seq", "3"}});
    EXPECT_EQ(finished["state"], "SUCCEEDED");
    const json status = call(client, "ClientService", "GetSweep", {{"name", "study"}});
    EXPECT_EQ(status["jobs"][0]["state"], "SUCCEEDED");
    EXPECT_EQ(status["jobs"][0]["progress"]["latest"]["train_loss"], 2.5);
    const json workers = call(client, "ClientService", "ListWorkers", json::object());
    EXPECT_EQ(workers["workers"][0]["version"], version);
  }
};

TEST_F(VersionsTest, AnOlderWorkerAndClientWorkWithThisCoordinator) {
  Protocol older(Older());
  RunAJob(older, "0.1.0");
}

TEST_F(VersionsTest, ANewerWorkerAndClientWorkWithThisCoordinatorWhichIgnoresWhatItDoesNotKnow) {
  Protocol newer(Newer());
  ASSERT_NE(newer.Make("RegisterRequest")->GetDescriptor()->FindFieldByName(kFuture), nullptr);
  RunAJob(newer, "9.0.0");
}

// Nobody may call what is in no policy.
TEST_F(VersionsTest, AMethodThatThisCoordinatorDoesNotHaveIsRefusedAndChangesNothing) {
  const Channel client = ChannelOf(*identity::ReadCredential(admin_folder()));
  const grpc::Status status = Call(client, "/sink.v1.ClientService/InventedLater");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
  EXPECT_TRUE(client_->ListSweeps({}).ok());
}

TEST_F(VersionsTest, AStateThatThisCoordinatorDoesNotKnowIsAMistakeOfTheCaller) {
  Submit("study", "1e-3");
  RegisterWorker();
  const v1::Grant grant = Lease();
  v1::FinishRequest request;
  request.set_worker_id(testing::kWorkerId);
  *request.mutable_lease() = grant.lease();
  request.set_outcome(static_cast<v1::JobState>(99));
  EXPECT_EQ(worker().Finish(request).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sink
