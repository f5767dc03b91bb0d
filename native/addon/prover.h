/*
 * The object that the addon's `open` resolves to. Its methods run on the JavaScript thread: they
 * copy their arguments and queue a worker. The worker computes on a thread of libuv's pool and
 * settles the method's promise on the JavaScript thread.
 */
#ifndef LEAN_AGGREGATOR_PROVER_H
#define LEAN_AGGREGATOR_PROVER_H

#include <napi.h>

#include <memory>

#include "library.h"

namespace lean_aggregator {

/* (libraryPath, {config, cacheFolder, threads}) -> promise of a prover. JavaScript thread only. */
Napi::Value open_prover(const Napi::CallbackInfo &info);

class Prover : public Napi::ObjectWrap<Prover> {
 public:
  static Napi::Function define(Napi::Env env);

  /* Only open_prover constructs a Prover, from an External of std::shared_ptr<Library>. */
  explicit Prover(const Napi::CallbackInfo &info);

 private:
  Napi::Value describe(const Napi::CallbackInfo &info);
  Napi::Value verify_signatures(const Napi::CallbackInfo &info);
  Napi::Value verify(const Napi::CallbackInfo &info);
  Napi::Value prove(const Napi::CallbackInfo &info);
  void close(const Napi::CallbackInfo &info);

  /* The library. Throws an Error when this object is closed. */
  const std::shared_ptr<Library> &library(Napi::Env env) const;

  std::shared_ptr<Library> library_;  // empty once closed
};

/* State of one Node environment: of the main thread or of a worker thread. */
struct EnvironmentState {
  Napi::FunctionReference prover_class;
};

}  // namespace lean_aggregator

#endif
