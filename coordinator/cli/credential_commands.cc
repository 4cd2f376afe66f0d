// sinkctl user, worker and login: who may call the coordinator. Keys are made here and never travel; what the
// coordinator signs is stored, or printed as one line that a person carries to where it is used.
#include <filesystem>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/views.h"
#include "coordinator/client/address.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/one_way.h"
#include "proto/files/files.h"
#include "proto/files/random_id.h"

namespace sink::cli {
namespace {

struct TokenOptions {
  std::string name, role;  // of a user or a program
  std::string ttl;
  int uses = 1;         // of a join token
  std::string address;  // where its holder reaches the coordinator
  std::string out;
};

struct Kind {
  const char* kind;    // as in CreateTokenRequest
  const char* bundle;  // its first word
  const char* use;     // what to do with it, "%" being the token
};
constexpr Kind kJoin = {"join", identity::kJoinBundle, "sink-worker --data DIR --join - <<< %"};
constexpr Kind kLogIn = {"login", identity::kLogInBundle, "sinkctl login <<< %"};
constexpr Kind kProgram = {"token", identity::kTokenBundle,
                           "SINK_CREDENTIALS=FILE sinkctl ..., with the line in FILE, or in SINK_TOKEN itself, as a CI "
                           "sets its secrets"};

// "30d" or what absl reads: "12h". Zero when it is neither.
absl::Duration ParseTtl(const std::string& text) {
  absl::string_view number = text;
  int days = 0;
  if (absl::ConsumeSuffix(&number, "d") && absl::SimpleAtoi(number, &days)) return days * absl::Hours(24);
  absl::Duration ttl;
  return absl::ParseDuration(text, &ttl) ? ttl : absl::ZeroDuration();
}

// Where this session's credential says whom to trust; a token's holder trusts the same authority.
absl::StatusOr<std::string> TrustedAuthority(Session& session) {
  if (session.token() != nullptr) return session.token()->credential.authority;
  const auto own = identity::ReadCredential(session.credentials());
  if (!own.ok()) return own.status();
  return own->authority;
}

Outcome MakeToken(Session& session, const Kind& kind, const TokenOptions& options) {
  const absl::Duration ttl = ParseTtl(options.ttl);
  if (ttl <= absl::ZeroDuration()) return {kUsage, "--ttl " + options.ttl + ": write a time such as 12h or 30d"};
  if (!options.address.empty()) {
    if (const absl::Status wrong = CheckAddress(options.address); !wrong.ok())
      return {kUsage, absl::StrCat("--address: ", wrong.message())};
  }
  const auto key = identity::MakeKey();
  if (!key.ok()) return FromStatus(key.status());
  const auto signing_request = identity::MakeRequest(*key);
  if (!signing_request.ok()) return FromStatus(signing_request.status());
  v1::CreateTokenRequest request;
  request.set_kind(kind.kind);
  request.set_name(options.name);
  request.set_role(options.role);
  request.set_request(*signing_request);
  request.set_ttl_ms(absl::ToInt64Milliseconds(ttl));
  request.set_uses(options.uses);
  const std::string secret = &kind == &kProgram ? files::RandomId() + files::RandomId() : "";
  if (!secret.empty()) request.set_secret_sha256(identity::Sha256(secret));
  const auto response = session.client().CreateToken(request);
  if (!response.ok()) return FromStatus(response.status());
  const auto authority = TrustedAuthority(session);
  if (!authority.ok()) return FromStatus(authority.status());
  const std::string& known = response->address().empty() ? session.coordinator : response->address();
  const std::string& address = options.address.empty() ? known : options.address;
  const std::string token = identity::EncodeBundle(
      kind.bundle,
      {.address = address,
       .credential = {.authority = *authority, .certificate = response->certificate(), .key = *key, .secret = secret}});
  std::ostream& notes = session.world().err;
  if (absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost")) {
    notes << "sinkctl: note: " << address << " is this machine's own address; for another machine name one that it can "
          << "reach (--address)\n";
  }
  if (!options.out.empty()) {
    if (const auto failed = files::ReplaceFile(options.out, token + "\n", 0600)) return {kBadFile, failed.message()};
  } else if (session.json) {
    session.world().out << Compact({{"token", token},
                                    {"principal", response->principal()},
                                    {"not_after_ms", response->not_after_ms()}})
                        << "\n";
  } else {
    session.world().out << token << "\n";
  }
  notes << "sinkctl: note: whoever has this line can use it until " << FormatTime(response->not_after_ms()) << "; use: "
        << absl::StrReplaceAll(kind.use, {{"%", options.out.empty() ? "sink-..." : "$(cat " + options.out + ")"}})
        << "\n";
  return {};
}

Outcome RevokePrincipal(Session& session, const std::string& principal) {
  v1::RevokeRequest request;
  request.set_principal(principal);
  const auto response = session.client().Revoke(request);
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  page.document = {{"revoked", principal}};
  page.blocks.push_back(TextBlock{{{principal, Style::kBold}, {"is revoked: its calls are refused from now on"}}});
  session.printer().Print(page);
  return {};
}

// By the name that sinkctl workers lists, or by its id.
Outcome RevokeWorker(Session& session, const std::string& worker) {
  v1::ListWorkersRequest request;
  request.set_retired(true);
  const auto response = session.client().ListWorkers(request);
  if (!response.ok()) return FromStatus(response.status());
  std::vector<std::string> ids;
  for (const v1::Worker& entry : response->workers()) {
    if (entry.name() == worker || entry.id() == worker) ids.push_back(entry.id());
  }
  if (ids.empty() && worker.size() == 32) ids.push_back(worker);  // has joined, and never registered
  if (ids.empty()) return {kNotFound, "no worker " + worker + "; see sinkctl workers"};
  if (ids.size() > 1) {
    return {kUsage, absl::StrCat("there are ", ids.size(), " workers ", worker,
                                 "; name one by its id: ", absl::StrJoin(ids, " "))};
  }
  return RevokePrincipal(session, "worker/" + ids[0]);
}

Outcome ListPrincipals(Session& session) {
  const auto response = session.client().ListPrincipals({});
  if (!response.ok()) return FromStatus(response.status());
  Json rows = Json::array();
  for (const v1::PrincipalInfo& info : response->principals()) {
    rows.push_back({{"name", info.name()},
                    {"role", info.role()},
                    {"state", info.revoked()             ? "REVOKED"
                              : info.certificates() == 0 ? "NO_CERTIFICATE"
                                                         : "VALID"},
                    {"certificates", info.certificates()},
                    {"not_after_ms", info.not_after_ms()},
                    {"uses", info.uses()}});
  }
  Page page;
  page.document = {{"principals", std::move(rows)}};
  page.blocks.push_back(
      TableBlock{"principals",
                 {TextColumn("WHO", "name", 8),
                  TextColumn("ROLE", "role", 6),
                  {{"STATE"},
                   "state",
                   [](const Json& row) -> Cell {
                     const std::string state = row["state"].get<std::string>();
                     if (state == "REVOKED") return {"revoked", Style::kRed};
                     return {state == "VALID" ? "valid" : "no certificate"};
                   }},
                  {{"UNTIL", Align::kRight, 0, 1},
                   "not_after_ms",
                   [](const Json& row) -> Cell { return {FormatTime(row["not_after_ms"].get<int64_t>())}; }}},
                 "nobody"});
  session.printer().Print(page);
  return {};
}

struct LogInOptions {
  std::string file = "-";
  std::string address;
};

Outcome LogIn(Session& session, const LogInOptions& options) {
  const auto text = identity::ReadSecretFile(options.file);
  if (!text.ok()) return {kBadFile, std::string(text.status().message())};
  const auto bundle = identity::DecodeBundle(identity::kLogInBundle, *text);
  if (!bundle.ok()) return {kUsage, std::string(bundle.status().message())};
  session.coordinator = options.address.empty() ? bundle->address : options.address;
  if (const absl::Status wrong = CheckAddress(session.coordinator); !wrong.ok())
    return {kUsage, absl::StrCat(options.address.empty() ? "the token: " : "--address: ", wrong.message())};
  const std::string place = session.credentials();
  std::error_code ignored;
  if (place.empty()) return {kUsage, "there is no home to keep the credential in; name a folder by SINK_CREDENTIALS"};
  if (std::filesystem::is_symlink(std::filesystem::symlink_status(place, ignored))) {
    return {kRefused, place +
                          " is the link to the credential of a coordinator that this user runs; for a login to "
                          "another one, remove it or use another address"};
  }
  // A failed try leaves what was there; the new key is kept beside it until the certificate for it has come.
  const std::string pending = place + ".new";
  const auto key = identity::KeepKey(pending);
  if (!key.ok()) return {kBadFile, std::string(key.status().message())};
  const auto signing_request = identity::MakeRequest(*key);
  if (!signing_request.ok()) return FromStatus(signing_request.status());
  const auto client = CoordinatorClient::Create({.address = session.coordinator, .credential = bundle->credential});
  if (!client.ok()) return FromStatus(client.status());
  v1::LogInRequest request;
  request.set_request(*signing_request);
  const auto response = (*client)->LogIn(request);
  if (!response.ok()) return FromStatus(response.status());
  const absl::Status written = identity::WriteCredential(
      place, {.authority = bundle->credential.authority, .certificate = response->certificate(), .key = *key});
  if (!written.ok()) return {kBadFile, std::string(written.message())};
  std::filesystem::remove_all(pending, ignored);
  Page page;
  page.document = {{"principal", response->principal()},
                   {"coordinator", session.coordinator},
                   {"credentials", place},
                   {"not_after_ms", response->not_after_ms()}};
  page.blocks.push_back(TextBlock{{{"logged in to " + session.coordinator + " as"},
                                   {response->principal(), Style::kBold},
                                   {"until " + FormatTime(response->not_after_ms())}}});
  session.printer().Print(page);
  return {};
}

void AddRole(args::Command command, TokenOptions& options) {
  command.AddOption("--role", options.role, "viewer (reads), submitter (has sweeps of its own) or admin (everything)")
      .ValueText("ROLE")
      .OneOf({"viewer", "submitter", "admin"})
      .Required();
}

void AddTokenOptions(args::Command command, TokenOptions& options) {
  command.AddOption("--ttl", options.ttl, "How long it is good for, e.g. 12h or 30d (" + options.ttl + ")")
      .ValueText("TIME");
  command
      .AddOption("--address", options.address,
                 "Where its holder reaches the coordinator (as the coordinator says, by --listen or --advertise, or as "
                 "this command does)")
      .ValueText("HOST:PORT");
  command.AddOption("--out", options.out, "Write it into a file that only this user can read, instead of printing it")
      .ValueText("FILE");
}

void AddWorkerTokens(Commands& commands) {
  args::Command worker = commands.Add("worker", "Let workers join, and revoke them", Names::kNothing,
                                      {"sinkctl worker token --uses 8 --ttl 1h", "sinkctl worker revoke node-7"});
  worker.RequireCommand();
  args::Command token =
      commands.AddTo(worker, "token", "Make a token by which workers join: sink-worker --join", Names::kNothing,
                     {"sinkctl worker token", "sinkctl worker token --uses 100 --ttl 12h --out join"});
  auto options = std::make_shared<TokenOptions>();
  options->ttl = "1h";
  AddTokenOptions(token, *options);
  token.AddOption("--uses", options->uses, "How many workers may join by it (1)").ValueText("N").Within(1, 10'000);
  commands.OnRun(token, [options](Session& session) { return MakeToken(session, kJoin, *options); });

  args::Command revoke =
      commands.AddTo(worker, "revoke", "Refuse a worker's calls from now on; its jobs go to others", Names::kWorker,
                     {"sinkctl worker revoke node-7", "sinkctl worker revoke 0123456789abcdef0123456789abcdef"});
  auto name = std::make_shared<std::string>();
  revoke.AddOption("WORKER", *name, "By its name, as sinkctl workers lists it, or its id").Required();
  commands.OnRun(revoke, [name](Session& session) { return RevokeWorker(session, *name); });
}

void AddUsers(Commands& commands) {
  args::Command user = commands.Add("user", "Give people and programs a login, and revoke it", Names::kNothing,
                                    {"sinkctl user add alice --role submitter", "sinkctl user list"});
  user.RequireCommand();
  args::Command add = commands.AddTo(
      user, "add", "Make a user, or change a user's role, and print what to log in with, once", Names::kNothing,
      {"sinkctl user add alice --role submitter", "sinkctl user add alice --role viewer --ttl 1h --out alice.login"});
  auto options = std::make_shared<TokenOptions>();
  options->ttl = "24h";
  AddTokenOptions(add, *options);
  add.AddOption("NAME", options->name, "The user").Required();
  AddRole(add, *options);
  commands.OnRun(add, [options](Session& session) { return MakeToken(session, kLogIn, *options); });

  args::Command token = commands.AddTo(
      user, "token",
      "Make a program's token, such as a CI's $SINK_TOKEN, in the place of its old one, and print it, once",
      Names::kNothing,
      {"sinkctl user token ci --role submitter --ttl 90d --out ci.token", "SINK_CREDENTIALS=ci.token sinkctl status",
       "sinkctl user token nightly --role viewer | gh secret set SINK_TOKEN", "sinkctl user revoke token/ci"});
  auto program = std::make_shared<TokenOptions>();
  program->ttl = "30d";
  AddTokenOptions(token, *program);
  token.AddOption("NAME", program->name, "The program: token/NAME in listings and in the audit log").Required();
  AddRole(token, *program);
  commands.OnRun(token, [program](Session& session) { return MakeToken(session, kProgram, *program); });

  args::Command list = commands.AddTo(user, "list", "Everybody who may call, workers and tokens too", Names::kNothing,
                                      {"sinkctl user list", "sinkctl user list --json"});
  commands.OnRun(list, ListPrincipals);

  args::Command revoke =
      commands.AddTo(user, "revoke", "Refuse the calls of a user, or of a token, from now on, on open connections too",
                     Names::kUser, {"sinkctl user revoke alice", "sinkctl user revoke token/ci"});
  auto name = std::make_shared<std::string>();
  revoke.AddOption("NAME", *name, "The user, or as `sinkctl user list` has it: token/NAME, join/ID").Required();
  commands.OnRun(revoke, [name](Session& session) {
    return RevokePrincipal(session, absl::StrContains(*name, '/') ? *name : "user/" + *name);
  });
}

}  // namespace

void AddCredentialCommands(Commands& commands) {
  AddWorkerTokens(commands);
  AddUsers(commands);
  args::Command login = commands.AddLocal(
      "login", "Log in with a token of `sinkctl user add`, from standard input or a file", Names::kFile,
      {"sinkctl login <<< sink-login:...", "sinkctl login token.txt --address head.example:7070"});
  auto options = std::make_shared<LogInOptions>();
  login.AddOption("FILE", options->file, "File with the token (standard input)");
  login.AddOption("--address", options->address, "Where this machine reaches the coordinator (as the token says)")
      .ValueText("HOST:PORT");
  commands.OnRun(login, [options](Session& session) { return LogIn(session, *options); });
}

}  // namespace sink::cli
