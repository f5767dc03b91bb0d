package machine

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Bits is a set of validators: validator i is bit i % 8 of byte i / 8.
type Bits []byte

// contains reports whether every member of other is one of b. Missing bytes are zero.
func (b Bits) contains(other Bits) bool {
	for i, bits := range other {
		var own byte
		if i < len(b) {
			own = b[i]
		}
		if bits&^own != 0 {
			return false
		}
	}
	return true
}

// UnmarshalJSON reads hex.
func (b *Bits) UnmarshalJSON(text []byte) error {
	var digits string
	if err := json.Unmarshal(text, &digits); err != nil {
		return err
	}
	bits, err := hex.DecodeString(digits)
	if err != nil {
		return fmt.Errorf("participants %q: %w", digits, err)
	}
	*b = bits
	return nil
}
