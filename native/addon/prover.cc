#include "prover.h"

#include <algorithm>

#include "arguments.h"
#include "worker.h"

namespace lean_aggregator {

namespace {

Napi::Value to_uint8_array(Napi::Env env, const std::vector<uint8_t> &bytes) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
  std::copy(bytes.begin(), bytes.end(), array.Data());
  return array;
}

class OpenWorker final : public Worker {
 public:
  OpenWorker(Napi::Env env, std::string path, std::string config)
      : Worker(env), path_(std::move(path)), config_(std::move(config)) {}

 private:
  Outcome compute() override { return Library::open(path_, config_, library_); }

  Napi::Value result(Napi::Env env) override {
    const auto external = Napi::External<std::shared_ptr<Library>>::New(env, &library_);
    return env.GetInstanceData<EnvironmentState>()->prover_class.New({external});
  }

  std::string path_;
  std::string config_;
  std::shared_ptr<Library> library_;
};

class VerifySignaturesWorker final : public Worker {
 public:
  VerifySignaturesWorker(Napi::Env env, std::shared_ptr<Library> library, SignedKeys input)
      : Worker(env), library_(std::move(library)), input_(std::move(input)) {}

 private:
  Outcome compute() override { return library_->verify_signatures(input_, verdicts_); }
  Napi::Value result(Napi::Env env) override { return to_uint8_array(env, verdicts_); }

  std::shared_ptr<Library> library_;
  SignedKeys input_;
  std::vector<uint8_t> verdicts_;
};

class VerifyAggregateWorker final : public Worker {
 public:
  VerifyAggregateWorker(Napi::Env env, std::shared_ptr<Library> library,
                        const lean_prover_message &message, Claim claim)
      : Worker(env), library_(std::move(library)), message_(message), claim_(std::move(claim)) {}

 private:
  Outcome compute() override { return library_->verify_aggregate(message_, claim_); }

  bool is_answer(lean_prover_status status) const override {
    return status == LEAN_PROVER_OK || status == LEAN_PROVER_BAD_AGGREGATE;
  }

  Napi::Value result(Napi::Env env) override {
    return Napi::Boolean::New(env, outcome_.status == LEAN_PROVER_OK);
  }

  std::shared_ptr<Library> library_;
  lean_prover_message message_;
  Claim claim_;
};

class AggregateWorker final : public Worker {
 public:
  AggregateWorker(Napi::Env env, std::shared_ptr<Library> library, SignedKeys input,
                  std::vector<Claim> children, uint32_t log_inv_rate)
      : Worker(env),
        library_(std::move(library)),
        input_(std::move(input)),
        children_(std::move(children)),
        log_inv_rate_(log_inv_rate) {}

 private:
  Outcome compute() override {
    return library_->aggregate(input_, children_, log_inv_rate_, proof_);
  }
  Napi::Value result(Napi::Env env) override { return to_uint8_array(env, proof_); }

  std::shared_ptr<Library> library_;
  SignedKeys input_;
  std::vector<Claim> children_;
  uint32_t log_inv_rate_;
  std::vector<uint8_t> proof_;
};

/* Reads m, keys and signatures, the first arguments of verifySignatures and aggregate. */
SignedKeys read_signed_keys(const Napi::CallbackInfo &info,
                            const lean_prover_description &description) {
  SignedKeys input;
  input.message = read_message(info[0], "m");
  input.keys = read_keys(info[1], "keys", description);
  input.signatures = read_signatures(info[2], "signatures", input.keys, description);
  return input;
}

}  // namespace

Napi::Value open_prover(const Napi::CallbackInfo &info) {
  std::string path = read_string(info[0], "libraryPath");
  std::string config = read_string(info[1], "config");
  return Worker::start(new OpenWorker(info.Env(), std::move(path), std::move(config)));
}

Napi::Function Prover::define(Napi::Env env) {
  return DefineClass(env, "NativeProver",
                     {InstanceMethod<&Prover::describe>("describe"),
                      InstanceMethod<&Prover::verify_signatures>("verifySignatures"),
                      InstanceMethod<&Prover::verify_aggregate>("verifyAggregate"),
                      InstanceMethod<&Prover::aggregate>("aggregate"),
                      InstanceMethod<&Prover::close>("close")});
}

Prover::Prover(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Prover>(info) {
  // JavaScript can call this constructor as prover.constructor.
  if (!info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "only open() makes a prover");
  }
  library_ = *info[0].As<Napi::External<std::shared_ptr<Library>>>().Data();
}

const std::shared_ptr<Library> &Prover::library(Napi::Env env) const {
  if (library_ == nullptr) throw Napi::Error::New(env, "the prover is closed; open another");
  return library_;
}

Napi::Value Prover::describe(const Napi::CallbackInfo &info) {
  const Napi::Env env = info.Env();
  const lean_prover_description &d = library(env)->description();
  Napi::Object made = Napi::Object::New(env);
  made.Set("backend", d.backend);
  made.Set("scheme", d.scheme);
  made.Set("revision", d.revision);
  made.Set("kinds", Napi::Number::New(env, d.kinds));
  made.Set("publicKeyBytes", Napi::Number::New(env, d.public_key_bytes));
  made.Set("signatureBytes", Napi::Number::New(env, d.signature_bytes));
  made.Set("proofBytesMax", Napi::Number::New(env, d.proof_bytes_max));
  made.Set("childrenMax", Napi::Number::New(env, d.children_max));
  made.Set("rawsMax", Napi::Number::New(env, d.raws_max));
  made.Set("rates", Napi::Number::New(env, d.rates));
  made.Set("keyOrderMatters", Napi::Boolean::New(env, d.key_order_matters != 0));
  return made;
}

Napi::Value Prover::verify_signatures(const Napi::CallbackInfo &info) {
  const std::shared_ptr<Library> &library = this->library(info.Env());
  SignedKeys input = read_signed_keys(info, library->description());
  return Worker::start(new VerifySignaturesWorker(info.Env(), library, std::move(input)));
}

Napi::Value Prover::verify_aggregate(const Napi::CallbackInfo &info) {
  const std::shared_ptr<Library> &library = this->library(info.Env());
  const lean_prover_message message = read_message(info[0], "m");
  Claim claim = read_claim(info[1], "claim", library->description());
  return Worker::start(
      new VerifyAggregateWorker(info.Env(), library, message, std::move(claim)));
}

Napi::Value Prover::aggregate(const Napi::CallbackInfo &info) {
  const std::shared_ptr<Library> &library = this->library(info.Env());
  SignedKeys input = read_signed_keys(info, library->description());
  std::vector<Claim> children = read_claims(info[3], "children", library->description());
  const uint32_t log_inv_rate = read_u32(info[4], "logInvRate");
  return Worker::start(new AggregateWorker(info.Env(), library, std::move(input),
                                           std::move(children), log_inv_rate));
}

void Prover::close(const Napi::CallbackInfo &) {
  // Running workers own the library too; its last owner closes it.
  library_.reset();
}

}  // namespace lean_aggregator
