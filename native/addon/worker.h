/*
 * One call that computes on a pool thread. It owns its inputs as plain C++ values and settles a
 * promise. A status for which is_answer() is false rejects the promise with an Error that has the
 * status as its property `status`.
 */
#ifndef LEAN_AGGREGATOR_WORKER_H
#define LEAN_AGGREGATOR_WORKER_H

#include <napi.h>

#include <exception>
#include <string>

#include "library.h"

namespace lean_aggregator {

class Worker : public Napi::AsyncWorker {
 public:
  explicit Worker(Napi::Env env)
      : Napi::AsyncWorker(env, "lean_aggregator"), deferred_(Napi::Promise::Deferred::New(env)) {}

  /* JavaScript thread. Returns the promise, after which the worker deletes itself. */
  static Napi::Value start(Worker *worker) {
    const Napi::Value promise = worker->deferred_.Promise();
    worker->Queue();
    return promise;
  }

 protected:
  /* Pool thread: no Napi value may be touched. */
  virtual Outcome compute() = 0;

  /* JavaScript thread: the value to which the promise resolves. */
  virtual Napi::Value result(Napi::Env env) = 0;

  /* True when the promise resolves to result() after this status. */
  virtual bool is_answer(lp_status status) const { return status == LP_OK; }

  /* What the promise is rejected with unless compute() returns. */
  Outcome outcome_{LP_INTERNAL, "the call ended without a result"};

 private:
  /* A library in C++ may let any exception escape, also one without a text, which Napi takes for none. */
  void Execute() final {
    try {
      outcome_ = compute();
    } catch (const std::exception &error) {
      outcome_ = {LP_INTERNAL, std::string("the call threw: ") + error.what()};
    } catch (...) {
      outcome_ = {LP_INTERNAL, "the call threw"};
    }
  }

  void OnOK() final {
    if (!is_answer(outcome_.status)) {
      reject(outcome_.status, outcome_.message);
      return;
    }
    try {
      deferred_.Resolve(result(Env()));
    } catch (const Napi::Error &error) {
      deferred_.Reject(error.Value());
    }
  }

  void reject(lp_status status, const std::string &message) {
    Napi::Error error = Napi::Error::New(Env(), message);
    error.Set("status", Napi::Number::New(Env(), status));
    deferred_.Reject(error.Value());
  }

  Napi::Promise::Deferred deferred_;
};

}  // namespace lean_aggregator

#endif
