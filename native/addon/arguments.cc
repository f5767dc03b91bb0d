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

lean_prover_message read_message(const Napi::Value &value, const std::string &name) {
  const Napi::Object object = read_object(value, name);
  const std::vector<uint8_t> root = read_bytes(object.Get("root"), name + ".root");
  if (root.size() != LEAN_PROVER_MESSAGE_BYTES) refuse(value, name + ".root must be 32 bytes");
  lean_prover_message message{};
  std::copy(root.begin(), root.end(), message.root);
  message.slot = read_u32(object.Get("slot"), name + ".slot");
  return message;
}

std::vector<uint8_t> read_keys(const Napi::Value &value, const std::string &name,
                               const lean_prover_description &description) {
  std::vector<uint8_t> keys = read_bytes(value, name);
  if (keys.size() % description.public_key_bytes != 0) {
    refuse(value, name + " must be packed keys of " +
                      std::to_string(description.public_key_bytes) + " bytes");
  }
  return keys;
}

std::vector<uint8_t> read_signatures(const Napi::Value &value, const std::string &name,
                                     const std::vector<uint8_t> &keys,
                                     const lean_prover_description &description) {
  std::vector<uint8_t> signatures = read_bytes(value, name);
  const size_t count = keys.size() / description.public_key_bytes;
  if (signatures.size() != count * description.signature_bytes) {
    refuse(value, name + " must be " + std::to_string(count) + " packed signatures of " +
                      std::to_string(description.signature_bytes) + " bytes, one for each key");
  }
  return signatures;
}

Claim read_claim(const Napi::Value &value, const std::string &name,
                 const lean_prover_description &description) {
  const Napi::Object object = read_object(value, name);
  return {read_bytes(object.Get("proof"), name + ".proof"),
          read_keys(object.Get("keys"), name + ".keys", description)};
}

std::vector<Claim> read_claims(const Napi::Value &value, const std::string &name,
                               const lean_prover_description &description) {
  const Napi::Array array = read_array(value, name);
  std::vector<Claim> claims;
  for (uint32_t i = 0; i < array.Length(); i++) {
    claims.push_back(read_claim(array.Get(i), element(name, i), description));
  }
  return claims;
}

}  // namespace lean_aggregator
