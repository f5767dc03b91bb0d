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
lean_prover_message read_message(const Napi::Value &value, const std::string &name);

/* Keys, packed without gaps; their length is a multiple of the description's key size. */
std::vector<uint8_t> read_keys(const Napi::Value &value, const std::string &name,
                               const lean_prover_description &description);

/* Signatures, packed in the order of the keys, one for each key. */
std::vector<uint8_t> read_signatures(const Napi::Value &value, const std::string &name,
                                     const std::vector<uint8_t> &keys,
                                     const lean_prover_description &description);

Claim read_claim(const Napi::Value &value, const std::string &name,
                 const lean_prover_description &description);
std::vector<Claim> read_claims(const Napi::Value &value, const std::string &name,
                               const lean_prover_description &description);

}  // namespace lean_aggregator

#endif
