#include "interpool/bigint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace interpool {

namespace {

// The conversions to and from decimal work on the number without its sign: base 2^32, the lowest digit first,
// no zeros at the end.
using Limbs = std::vector<std::uint32_t>;

Limbs magnitude(std::span<const std::byte> bytes) {
  const bool negative = detail::is_negative(bytes);
  Limbs limbs(bytes.size() / 4 + 1, negative ? ~0U : 0U);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const unsigned shift = 8 * (i % 4);
    std::uint32_t& limb = limbs[i / 4];
    limb = (limb & ~(0xFFU << shift)) | (std::to_integer<std::uint32_t>(bytes[i]) << shift);
  }
  if (negative) {
    std::uint64_t carry = 1;
    for (std::uint32_t& limb : limbs) {
      carry += static_cast<std::uint32_t>(~limb);
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
  }
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  return limbs;
}

Bytes twos_complement(const Limbs& magnitude, bool negative) {
  Bytes bytes;
  bytes.reserve(4 * magnitude.size() + 1);
  std::uint64_t carry = negative ? 1 : 0;
  for (const std::uint32_t limb : magnitude) {
    carry += negative ? static_cast<std::uint32_t>(~limb) : limb;
    for (unsigned shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::byte>(carry >> shift));
    carry >>= 32;
  }
  if (!magnitude.empty()) bytes.push_back(negative ? std::byte{0xFF} : std::byte{0});
  return bytes;
}

constexpr std::uint32_t kChunk = 1'000'000'000;  // the largest power of ten in a limb
constexpr std::size_t kChunkDigits = 9;

}  // namespace

BigInt BigInt::from_bytes(std::span<const std::byte> twos_complement) {
  const auto minimal = detail::minimal(twos_complement);
  BigInt value;
  value.bytes_.assign(minimal.begin(), minimal.end());
  return value;
}

std::optional<BigInt> BigInt::parse(std::string_view decimal) {
  const bool negative = decimal.starts_with('-');
  if (negative || decimal.starts_with('+')) decimal.remove_prefix(1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (decimal.empty() || !std::ranges::all_of(decimal, is_digit)) return std::nullopt;
  Limbs limbs;
  while (!decimal.empty()) {
    const std::string_view chunk = decimal.substr(0, kChunkDigits);
    decimal.remove_prefix(chunk.size());
    std::uint64_t carry = 0;
    std::uint64_t factor = 1;
    for (const char digit : chunk) {
      carry = 10 * carry + static_cast<unsigned>(digit - '0');
      factor *= 10;
    }
    for (std::uint32_t& limb : limbs) {
      carry += factor * limb;
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
  }
  return from_bytes(twos_complement(limbs, negative));
}

std::optional<double> BigInt::to_double() const noexcept {
  // Each step is exact if the whole number is exactly a double: what it has read is the upper part of that.
  const bool negative = is_negative();
  const std::size_t size = bytes_.size();
  if (size > std::numeric_limits<double>::max_exponent / 8 + 1) return std::nullopt;
  double value = 0;
  for (std::size_t i = size; i-- > 0;) {
    const double digit = std::to_integer<int>(bytes_[i]) - (negative && i + 1 == size ? 256 : 0);
    const double next = 256 * value + digit;
    if (std::isinf(next) || next - 256 * value != digit) return std::nullopt;
    value = next;
  }
  return value;
}

std::strong_ordering operator<=>(const BigInt& a, const BigInt& b) noexcept {
  const bool negative = a.is_negative();
  if (negative != b.is_negative()) return b.is_negative() <=> negative;
  // Of one sign, the longer one is farther from 0; of one length, the bytes decide.
  if (a.bytes_.size() != b.bytes_.size()) {
    return negative ? b.bytes_.size() <=> a.bytes_.size() : a.bytes_.size() <=> b.bytes_.size();
  }
  return std::lexicographical_compare_three_way(a.bytes_.rbegin(), a.bytes_.rend(), b.bytes_.rbegin(),
                                                b.bytes_.rend());
}

std::string to_string(const BigInt& value) {
  Limbs limbs = magnitude(value.bytes());
  if (limbs.empty()) return "0";
  std::vector<std::uint32_t> chunks;
  while (!limbs.empty()) {
    std::uint64_t rest = 0;
    for (std::size_t i = limbs.size(); i-- > 0;) {
      rest = (rest << 32) | limbs[i];
      limbs[i] = static_cast<std::uint32_t>(rest / kChunk);
      rest %= kChunk;
    }
    chunks.push_back(static_cast<std::uint32_t>(rest));
    while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  }
  std::string text = value.is_negative() ? "-" : "";
  text += std::to_string(chunks.back());
  for (std::size_t i = chunks.size() - 1; i-- > 0;) text += fmt::format("{:09}", chunks[i]);
  return text;
}

}  // namespace interpool
