/*
 * Copies JavaScript arguments into plain C++ values. `name` is the argument's name; a value of
 * another kind throws a TypeError with that name and what it must be. JavaScript thread only.
 */
#ifndef LEAN_AGGREGATOR_ARGUMENTS_H
#define LEAN_AGGREGATOR_ARGUMENTS_H

#include <napi.h>

#include <string>
#include <vector>

#include "library.h"

namespace lean_aggregator {

std::string read_string(const Napi::Value &value, const std::string &name);
uint32_t read_u32(const Napi::Value &value, const std::string &name);
std::vector<uint32_t> read_u32_list(const Napi::Value &value, const std::string &name);

/* Inputs of calls. `about` has the sizes of keys and signatures, of which the bytes must be whole
 * numbers, with one signature for each key. */
Claim read_claim(const Napi::Value &value, const std::string &name, const lp_about &about);
Raws read_raws(const Napi::Value &value, const std::string &name, const lp_about &about);
Proof read_proof(const Napi::Value &value, const std::string &name, const lp_about &about);
Job read_job(const Napi::Value &value, const std::string &name, const lp_about &about);
OpenOptions read_open_options(const Napi::Value &value, const std::string &name);

}  // namespace lean_aggregator

#endif
