// Package ssz converts between SSZ bitlists, which mark their length by one more bit, and the plain
// bits of the service's participants: validator i is bit i % 8, lowest first, of byte i / 8.
package ssz

import (
	"errors"
	"math/bits"
)

// ErrNoLengthBit says that a bitlist is empty or ends in a zero byte, so that it has no length bit.
var ErrNoLengthBit = errors.New("bitlist has no length bit: it is empty, or its last byte is 0")

// FromBitlist returns the bits of an SSZ bitlist without its length bit, and their number. It copies.
func FromBitlist(bitlist []byte) (plain []byte, length int, err error) {
	last := len(bitlist) - 1
	if last < 0 || bitlist[last] == 0 {
		return nil, 0, ErrNoLengthBit
	}
	top := bits.Len8(bitlist[last]) - 1
	length = last*8 + top
	plain = make([]byte, (length+7)/8)
	copy(plain, bitlist)
	if top > 0 {
		plain[last] &^= 1 << top
	}
	return plain, length, nil
}

// ToBitlist returns an SSZ bitlist of this length with these bits. Bits at or beyond the length are
// left out.
func ToBitlist(plain []byte, length int) []byte {
	bitlist := make([]byte, length/8+1)
	copy(bitlist, plain)
	bitlist[length/8] &= 1<<(length%8) - 1
	bitlist[length/8] |= 1 << (length % 8)
	return bitlist
}

// Bits returns plain bits with these validators.
func Bits(validators ...uint32) []byte {
	var plain []byte
	for _, validator := range validators {
		for uint32(len(plain)) <= validator/8 {
			plain = append(plain, 0)
		}
		plain[validator/8] |= 1 << (validator % 8)
	}
	return plain
}

// Validators returns the validators of plain bits, ascending.
func Validators(plain []byte) []uint32 {
	var validators []uint32
	for i, each := range plain {
		for each != 0 {
			validators = append(validators, uint32(i*8+bits.TrailingZeros8(each)))
			each &= each - 1
		}
	}
	return validators
}
