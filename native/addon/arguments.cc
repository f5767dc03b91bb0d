#include "arguments.h"

#include <algorithm>
#include <cstdint>

namespace lean_aggregator {

namespace {

[[noreturn]] void refuse(const Napi::Value &value, const std::string &text) {
  throw Napi::TypeError::New(value.Env(), text);
}

std::vector<uint8_t> read_bytes(const Napi::Value &value, const std::string &name) {
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    refuse(value, name + " must be a Uint8Array");
  }
  const auto array = value.As<Napi::Uint8Array>();
  const size_t length = array.ByteLength();
  if (length == 0) return {};  // an empty view may have no address
  return std::vector<uint8_t>(array.Data(), array.Data() + length);
}

Napi::Object read_object(const Napi::Value &value, const std::string &name) {
  if (!value.IsObject()) refuse(value, name + " must be an object");
  return value.As<Napi::Object>();
}

Napi::Array read_array(const Napi::Value &value, const std::string &name) {
  if (!value.IsArray()) refuse(value, name + " must be an array");
  return value.As<Napi::Array>();
}

std::string element(const std::string &name, uint32_t at) {
  return name + "[" + std::to_string(at) + "]";
}

uint32_t read_kind(const Napi::Value &value, const std::string &name) {
  const std::string kind = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (kind == "fold") return LP_FOLD;
  if (kind == "merge") return LP_MERGE;
  refuse(value, name + " must be fold or merge");
}

template <typename Item>
std::vector<Item> read_each(const Napi::Value &value, const std::string &name,
                            const lp_about &about,
                            Item (*read)(const Napi::Value &, const std::string &,
                                         const lp_about &)) {
  const Napi::Array array = read_array(value, name);
  std::vector<Item> items;
  for (uint32_t i = 0; i < array.Length(); i++) {
    items.push_back(read(array.Get(i), element(name, i), about));
  }
  return items;
}

}  // namespace

std::string read_string(const Napi::Value &value, const std::string &name) {
  if (!value.IsString()) refuse(value, name + " must be a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  // The text becomes a C string, which would silently end at a NUL.
  if (text.find('\0') != std::string::npos) refuse(value, name + " must not contain NUL");
  return text;
}

uint32_t read_u32(const Napi::Value &value, const std::string &name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  // The comparison also refuses NaN.
  if (!(number >= 0 && number <= UINT32_MAX) || number != static_cast<uint32_t>(number)) {
    refuse(value, name + " must be an integer from 0 to 4294967295");
  }
  return static_cast<uint32_t>(number);
}

std::vector<uint32_t> read_u32_list(const Napi::Value &value, const std::string &name) {
  const Napi::Array array = read_array(value, name);
  std::vector<uint32_t> numbers;
  for (uint32_t i = 0; i < array.Length(); i++) {
    numbers.push_back(read_u32(array.Get(i), element(name, i)));
  }
  return numbers;
}

Claim read_claim(const Napi::Value &value, const std::string &name, const lp_about &about) {
  const Napi::Object object = read_object(value, name);
  Claim claim;
  claim.root = read_bytes(object.Get("root"), name + ".root");
  if (claim.root.size() != LP_ROOT_BYTES) refuse(value, name + ".root must be 32 bytes");
  claim.slot = read_u32(object.Get("slot"), name + ".slot");
  claim.keys = read_bytes(object.Get("keys"), name + ".keys");
  if (claim.keys.size() % about.public_key_bytes != 0) {
    refuse(value, name + ".keys must be packed keys of " + std::to_string(about.public_key_bytes) +
                      " bytes");
  }
  return claim;
}

Raws read_raws(const Napi::Value &value, const std::string &name, const lp_about &about) {
  Raws raws;
  raws.of = read_claim(value, name, about);
  raws.signatures = read_bytes(read_object(value, name).Get("signatures"), name + ".signatures");
  const size_t count = raws.of.keys.size() / about.public_key_bytes;
  if (raws.signatures.size() != count * about.signature_bytes) {
    refuse(value, name + ".signatures must be " + std::to_string(count) +
                      " packed signatures of " + std::to_string(about.signature_bytes) +
                      " bytes, one for each key");
  }
  return raws;
}

Proof read_proof(const Napi::Value &value, const std::string &name, const lp_about &about) {
  const Napi::Object object = read_object(value, name);
  Proof proof;
  proof.kind = read_kind(object.Get("kind"), name + ".kind");
  proof.bytes = read_bytes(object.Get("bytes"), name + ".bytes");
  proof.claims = read_each<Claim>(object.Get("claims"), name + ".claims", about, read_claim);
  return proof;
}

Job read_job(const Napi::Value &value, const std::string &name, const lp_about &about) {
  const Napi::Object object = read_object(value, name);
  Job job;
  job.kind = read_kind(object.Get("kind"), name + ".kind");
  job.log_inv_rate = read_u32(object.Get("logInvRate"), name + ".logInvRate");
  job.raws = read_each<Raws>(object.Get("raws"), name + ".raws", about, read_raws);
  job.children = read_each<Proof>(object.Get("children"), name + ".children", about, read_proof);
  job.wanted = read_each<Claim>(object.Get("wanted"), name + ".wanted", about, read_claim);
  return job;
}

OpenOptions read_open_options(const Napi::Value &value, const std::string &name) {
  const Napi::Object object = read_object(value, name);
  const Napi::Value cache = object.Get("cacheFolder");
  return {read_string(object.Get("config"), name + ".config"),
          cache.IsUndefined() ? "" : read_string(cache, name + ".cacheFolder"),
          read_u32(object.Get("threads"), name + ".threads")};
}

}  // namespace lean_aggregator
