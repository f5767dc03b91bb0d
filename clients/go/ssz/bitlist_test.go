package ssz_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/lean-aggregator/lean-aggregator/clients/go/ssz"
)

func TestBitlistsOfEveryLengthComeBack(t *testing.T) {
	for length := range 40 {
		var validators []uint32
		for i := range length {
			if i%3 != 1 {
				validators = append(validators, uint32(i))
			}
		}
		bitlist := ssz.ToBitlist(ssz.Bits(validators...), length)
		plain, gotLength, err := ssz.FromBitlist(bitlist)
		if err != nil || gotLength != length || !slices.Equal(ssz.Validators(plain), validators) {
			t.Errorf("length %d: %x, %x, %d, %v", length, bitlist, plain, gotLength, err)
		}
	}
}

func TestKnownBitlists(t *testing.T) {
	for _, each := range []struct {
		bitlist, plain []byte
		length         int
	}{
		{[]byte{0x01}, []byte{}, 0},
		{[]byte{0x03}, []byte{0x01}, 1},
		{[]byte{0xff, 0x01}, []byte{0xff}, 8},
		{[]byte{0x05, 0x02}, []byte{0x05, 0x00}, 9},
	} {
		plain, length, err := ssz.FromBitlist(each.bitlist)
		if err != nil || length != each.length || !bytes.Equal(plain, each.plain) {
			t.Errorf("%x: %x, %d, %v", each.bitlist, plain, length, err)
		}
		if got := ssz.ToBitlist(each.plain, each.length); !bytes.Equal(got, each.bitlist) {
			t.Errorf("%x of %d: %x, expected %x", each.plain, each.length, got, each.bitlist)
		}
	}
}

func TestBitlistWithoutLengthBitIsAnError(t *testing.T) {
	for _, bitlist := range [][]byte{nil, {}, {0x00}, {0x01, 0x00}} {
		if _, _, err := ssz.FromBitlist(bitlist); !errors.Is(err, ssz.ErrNoLengthBit) {
			t.Errorf("%x: %v", bitlist, err)
		}
	}
}

func TestBitsBeyondTheLengthAreLeftOut(t *testing.T) {
	if got := ssz.ToBitlist([]byte{0xff, 0xff}, 3); !bytes.Equal(got, []byte{0x0f}) {
		t.Errorf("%x", got)
	}
}

func FuzzBitlist(f *testing.F) {
	f.Add([]byte{0x05, 0x02})
	f.Fuzz(func(t *testing.T, bitlist []byte) {
		plain, length, err := ssz.FromBitlist(bitlist)
		if err == nil && !bytes.Equal(ssz.ToBitlist(plain, length), bitlist) {
			t.Errorf("%x: %x of %d", bitlist, plain, length)
		}
	})
}
