/*
 * lean_aggregator.node: loads a backend of lean_prover.h for the prover process and offers the few
 * system calls that Node lacks. It decides nothing. `native/addon.ts` declares all of it.
 */
#include <napi.h>

#include "process.h"
#include "prover.h"

namespace {

/* Runs on the JavaScript thread, once for each Node environment (main or worker thread). */
Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto *state = new lean_aggregator::EnvironmentState;
  state->prover_class = Napi::Persistent(lean_aggregator::Prover::define(env));
  env.SetInstanceData(state);  // freed with the environment
  exports.Set("open", Napi::Function::New(env, lean_aggregator::open_prover, "open"));
  exports.Set("dieWithParent",
              Napi::Function::New(env, lean_aggregator::die_with_parent, "dieWithParent"));
  exports.Set("lockFile", Napi::Function::New(env, lean_aggregator::lock_file, "lockFile"));
  exports.Set("limitResource",
              Napi::Function::New(env, lean_aggregator::limit_resource, "limitResource"));
  exports.Set("hideDescriptors",
              Napi::Function::New(env, lean_aggregator::hide_descriptors, "hideDescriptors"));
  exports.Set("forbidNewPrivileges",
              Napi::Function::New(env, lean_aggregator::forbid_new_privileges,
                                  "forbidNewPrivileges"));
  exports.Set("forbidInspection",
              Napi::Function::New(env, lean_aggregator::forbid_inspection, "forbidInspection"));
  exports.Set("sendDatagram",
              Napi::Function::New(env, lean_aggregator::send_datagram, "sendDatagram"));
  exports.Set("setAffinity",
              Napi::Function::New(env, lean_aggregator::set_affinity, "setAffinity"));
  return exports;
}

}  // namespace

NODE_API_MODULE(lean_aggregator, initialise)
