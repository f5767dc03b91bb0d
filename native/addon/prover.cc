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
  OpenWorker(Napi::Env env, std::string path, OpenOptions options)
      : Worker(env), path_(std::move(path)), options_(std::move(options)) {}

 private:
  Outcome compute() override { return Library::open(path_, options_, library_); }

  Napi::Value result(Napi::Env env) override {
    const auto external = Napi::External<std::shared_ptr<Library>>::New(env, &library_);
    return env.GetInstanceData<EnvironmentState>()->prover_class.New({external});
  }

  std::string path_;
  OpenOptions options_;
  std::shared_ptr<Library> library_;
};

class VerifySignaturesWorker final : public Worker {
 public:
  VerifySignaturesWorker(Napi::Env env, std::shared_ptr<Library> library, Raws raws)
      : Worker(env), library_(std::move(library)), raws_(std::move(raws)) {}

 private:
  Outcome compute() override { return library_->verify_signatures(raws_, verdicts_); }
  Napi::Value result(Napi::Env env) override { return to_uint8_array(env, verdicts_); }

  std::shared_ptr<Library> library_;
  Raws raws_;
  std::vector<uint8_t> verdicts_;
};

class VerifyWorker final : public Worker {
 public:
  VerifyWorker(Napi::Env env, std::shared_ptr<Library> library, Proof proof)
      : Worker(env), library_(std::move(library)), proof_(std::move(proof)) {}

 private:
  Outcome compute() override { return library_->verify(proof_); }

  bool is_answer(lp_status status) const override {
    return status == LP_OK || status == LP_BAD_PROOF;
  }

  Napi::Value result(Napi::Env env) override {
    return Napi::Boolean::New(env, outcome_.status == LP_OK);
  }

  std::shared_ptr<Library> library_;
  Proof proof_;
};

class ProveWorker final : public Worker {
 public:
  ProveWorker(Napi::Env env, std::shared_ptr<Library> library, Job job)
      : Worker(env), library_(std::move(library)), job_(std::move(job)) {}

 private:
  Outcome compute() override { return library_->prove(job_, proof_); }
  Napi::Value result(Napi::Env env) override { return to_uint8_array(env, proof_); }

  std::shared_ptr<Library> library_;
  Job job_;
  std::vector<uint8_t> proof_;
};

Napi::Object to_object(Napi::Env env, const lp_limits &limits) {
  Napi::Object made = Napi::Object::New(env);
  made.Set("rawsMax", Napi::Number::New(env, limits.raws_max));
  made.Set("rawsBesideMax", Napi::Number::New(env, limits.raws_beside_max));
  made.Set("childrenMax", Napi::Number::New(env, limits.children_max));
  made.Set("arities", Napi::Number::New(env, limits.arities));
  made.Set("claimsMax", Napi::Number::New(env, limits.claims_max));
  made.Set("keysMax", Napi::Number::New(env, limits.keys_max));
  return made;
}

}  // namespace

Napi::Value open_prover(const Napi::CallbackInfo &info) {
  std::string path = read_string(info[0], "libraryPath");
  OpenOptions options = read_open_options(info[1], "options");
  return Worker::start(new OpenWorker(info.Env(), std::move(path), std::move(options)));
}

Napi::Function Prover::define(Napi::Env env) {
  return DefineClass(env, "NativeProver",
                     {InstanceMethod<&Prover::describe>("describe"),
                      InstanceMethod<&Prover::verify_signatures>("verifySignatures"),
                      InstanceMethod<&Prover::verify>("verify"),
                      InstanceMethod<&Prover::prove>("prove"),
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
  const lp_about &about = library(env)->about();
  Napi::Object made = Napi::Object::New(env);
  made.Set("backend", about.backend);
  made.Set("scheme", about.scheme);
  made.Set("revision", about.revision);
  made.Set("kinds", Napi::Number::New(env, about.kinds));
  made.Set("can", Napi::Number::New(env, about.can));
  made.Set("publicKeyBytes", Napi::Number::New(env, about.public_key_bytes));
  made.Set("signatureBytes", Napi::Number::New(env, about.signature_bytes));
  made.Set("proofBytesMax", Napi::Number::New(env, about.proof_bytes_max));
  made.Set("rates", Napi::Number::New(env, about.rates));
  made.Set("rateDefault", Napi::Number::New(env, about.rate_default));
  made.Set("setupMs", Napi::Number::New(env, about.setup_ms));
  made.Set("fold", to_object(env, about.fold));
  made.Set("merge", to_object(env, about.merge));
  made.Set("idleBytes", Napi::Number::New(env, static_cast<double>(about.idle_bytes)));
  made.Set("peakBytes", Napi::Number::New(env, static_cast<double>(about.peak_bytes)));
  return made;
}

Napi::Value Prover::verify_signatures(const Napi::CallbackInfo &info) {
  const std::shared_ptr<Library> &library = this->library(info.Env());
  Raws raws = read_raws(info[0], "raws", library->about());
  return Worker::start(new VerifySignaturesWorker(info.Env(), library, std::move(raws)));
}

Napi::Value Prover::verify(const Napi::CallbackInfo &info) {
  const std::shared_ptr<Library> &library = this->library(info.Env());
  Proof proof = read_proof(info[0], "proof", library->about());
  return Worker::start(new VerifyWorker(info.Env(), library, std::move(proof)));
}

Napi::Value Prover::prove(const Napi::CallbackInfo &info) {
  const std::shared_ptr<Library> &library = this->library(info.Env());
  Job job = read_job(info[0], "job", library->about());
  return Worker::start(new ProveWorker(info.Env(), library, std::move(job)));
}

void Prover::close(const Napi::CallbackInfo &) {
  // Running workers own the library too; its last owner closes it.
  library_.reset();
}

}  // namespace lean_aggregator
