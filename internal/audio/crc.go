package audio

import "encoding/binary"

// The checksums of FLAC and Ogg run most significant bit first and start at
// zero; hash/crc32 only has the mirrored kind. A checksum appended to its
// message makes the whole come out as zero, and zeros behind it keep it so.
var (
	crc8Table  = crcTables(1, 8, 0x07)[0]
	crc16Table = crcTables(1, 16, 0x8005)[0]
	crc32Table = crcTables(8, 32, 0x04c11db7)
)

// crcTables makes n tables of a checksum of the given width. Table k takes a
// byte that k more bytes follow.
func crcTables(n, width int, polynomial uint32) [][256]uint32 {
	tables := make([][256]uint32, n)
	top, mask := uint32(1)<<(width-1), uint32(1<<width-1)
	for b := range 256 {
		crc := uint32(b) << (width - 8)
		for k := range tables {
			for range 8 {
				if crc&top != 0 {
					crc = crc<<1 ^ polynomial
				} else {
					crc <<= 1
				}
			}
			crc &= mask
			tables[k][b] = crc
		}
	}
	return tables
}

func crc8(b []byte) byte {
	var crc byte
	for _, v := range b {
		crc = byte(crc8Table[crc^v])
	}
	return crc
}

func crc16(crc uint16, b []byte) uint16 {
	for _, v := range b {
		crc = crc<<8 ^ uint16(crc16Table[byte(crc>>8)^v])
	}
	return crc
}

// crc32Ogg takes eight bytes at a time: every byte of every Ogg file goes
// through it.
func crc32Ogg(crc uint32, b []byte) uint32 {
	t := crc32Table
	for ; len(b) >= 8; b = b[8:] {
		high, low := crc^binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		crc = t[7][high>>24] ^ t[6][high>>16&255] ^ t[5][high>>8&255] ^ t[4][high&255] ^
			t[3][low>>24] ^ t[2][low>>16&255] ^ t[1][low>>8&255] ^ t[0][low&255]
	}
	for _, v := range b {
		crc = crc<<8 ^ t[0][byte(crc>>24)^v]
	}
	return crc
}
